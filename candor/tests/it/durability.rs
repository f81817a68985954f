//! `kill -9` loses nothing that was acknowledged, and nothing appears twice.

use super::server::{Project, Server};

#[test]
fn acknowledged_rows_survive_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let mut acknowledged = Vec::new();
    let mut project: Option<Project> = None;
    for round in 0..3 {
        let mut server = Server::over(&data_dir, &[]);
        let shop = project.get_or_insert_with(|| server.project("shop"));
        for n in 0..20 {
            let body = format!("round {round} row {n}");
            if server.send_logs(&shop.token, &[&body]).status == 200 {
                acknowledged.push(body);
            }
            if n == 10 && round == 1 {
                server.print(&["flush", "--project", "shop"]);
            }
        }
        server.kill();
    }
    let server = Server::over(&data_dir, &[]);
    let found: Vec<String> = server
        .rows("shop", "SELECT body FROM logs ORDER BY _offset")
        .iter()
        .map(|row| row["body"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(found, acknowledged);
}
