//! `candor lake catalog`: a DuckLake catalog of one project, and the two statements that open it.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::http::door::SNAPSHOT_HEADER;
use crate::{files, output};

/// Writes the catalog and prints how to attach it.
pub async fn catalog(
    client: &Client,
    project: &str,
    out: &Path,
    ttl_seconds: i64,
    as_json: bool,
) -> Result<()> {
    refuse_foreign(out)?;
    let body = json!({ "project": project, "ttl_seconds": ttl_seconds });
    let answer = client.call(Method::POST, "/api/v1/lake/catalog", Some(&body)).await?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (token, data_path) = (text("token"), text("data_path"));
    let number = answer.get("number").and_then(Value::as_i64).unwrap_or_default();

    let request = client.plain(Method::GET, &format!("/lake/{number}/catalog.db")).bearer_auth(&token);
    let response = client.send(request).await?;
    let snapshot = response
        .headers()
        .get(SNAPSHOT_HEADER)
        .and_then(|value| value.to_str().ok()?.parse::<i64>().ok())
        .context("the server named no snapshot: is it candor?")?;
    let bytes =
        response.bytes().await.map_err(reqwest::Error::without_url).context("the server broke off")?;
    let mut file = files::create(out).with_context(|| format!("cannot write {}", out.display()))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", out.display()))?;

    let path = files::absolute(out).with_context(|| format!("cannot find {}", out.display()))?;
    let name = project.rsplit('/').next().unwrap_or(project);
    let secret = format!(
        "CREATE SECRET {} (TYPE http, SCOPE '{}', EXTRA_HTTP_HEADERS MAP {{'Authorization': 'Bearer {token}'}})",
        identifier(&format!("candor_{name}")),
        quoted(&data_path),
    );
    let attach = format!(
        "ATTACH 'ducklake:sqlite:{}' AS {} (READ_ONLY, DATA_PATH '{}', OVERRIDE_DATA_PATH true)",
        quoted(&path.to_string_lossy()),
        identifier(name),
        quoted(&data_path),
    );
    if as_json {
        return output::json(&json!({
            "attach": attach,
            "secret": secret,
            "token": token,
            "expires": text("expires"),
            "snapshot": snapshot,
        }));
    }
    output::line(&format!("{secret};\n{attach};"))?;
    eprintln!(
        "Run both in DuckDB with the extensions ducklake, sqlite and httpfs. Works until {}.",
        text("expires")
    );
    Ok(())
}

/// How much of a file is looked at: up to the end of SQLite's `application_id` (https://sqlite.org/fileformat.html,
/// section 1.3).
const HEADER_BYTES: usize = 72;

/// An error where something is at the path that was not written here.
fn refuse_foreign(out: &Path) -> Result<()> {
    if !files::exists(out) {
        return Ok(());
    }
    let shown = out.display();
    if !files::is_file(out) {
        bail!("{shown} is there already and is no file\nname another with --out");
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    files::open(out)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .with_context(|| format!("cannot look whether {shown} may be written over"))?;
    let id = header.get(HEADER_BYTES - 4..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
    if !header.starts_with(b"SQLite format 3\0") || id != Some(candor_lake::EXPORT_APPLICATION_ID) {
        bail!(
            "{shown} is there already and is no catalog of Candor's\nname another with --out, or remove it"
        );
    }
    Ok(())
}

/// A name as SQL writes it: bare where it can be.
fn identifier(name: &str) -> String {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        assert_eq!(identifier("shop"), "shop");
        assert_eq!(identifier("my-shop.2"), "\"my-shop.2\"");
        assert_eq!(identifier("2shop"), "\"2shop\"");
        assert_eq!(quoted("/tmp/it's"), "/tmp/it''s");
    }

    #[test]
    fn only_a_former_catalog_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let refused = |path: &Path| refuse_foreign(path).err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(refused(&path("none.db")), "");
        let mut header = b"SQLite format 3\0".to_vec();
        header.resize(100, 0);
        files::write_private(&path("other.db"), &header).expect("written");
        assert!(refused(&path("other.db")).contains("no catalog of Candor's"));
        header[68..72].copy_from_slice(&candor_lake::EXPORT_APPLICATION_ID.to_be_bytes());
        files::write_private(&path("former.db"), &header).expect("written");
        assert_eq!(refused(&path("former.db")), "");
        for content in [&b""[..], b"notes", &header[..70]] {
            files::write_private(&path("notes.txt"), content).expect("written");
            assert!(refused(&path("notes.txt")).contains("is there already"));
        }
        assert!(refused(folder.path()).contains("is no file"));
        assert!(refused(Path::new("/dev/null")).contains("is no file"));
    }
}
