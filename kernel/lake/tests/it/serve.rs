//! The door: tokens and paths.

use candor_lake::ServeError;
use candor_model::Signal;

use crate::bed::Bed;

fn shown<T>(result: Result<T, ServeError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_reads_its_project_until_it_ends() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 10);
    lake.flush(None).await.unwrap();
    let token = lake.mint_token(&bed.shop, 3600).await.unwrap();
    assert_eq!(token.expires, crate::bed::START.plus_seconds(3600));
    let (shop, other) = (bed.shop.project(), bed.other.project());

    assert_eq!(shown(lake.authorize("", shop).await), "a read token is needed");
    assert_eq!(shown(lake.authorize("candor_lake_x", shop).await), "a read token is needed");
    assert_eq!(shown(lake.authorize(&token.token, other).await), "the token reads another project");
    let grant = lake.authorize(&token.token, shop).await.unwrap();
    assert_eq!(grant.project(), shop);

    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let key = pinned.files[0].key.clone();
    let path = key.strip_prefix(&format!("lake/p{shop}/")).unwrap();
    let served = lake.serve(&grant, path).await.unwrap();
    assert_eq!((served.table.as_str(), served.rows), ("logs", 10));
    let file = served.file;
    assert_eq!(file.length(), pinned.files[0].length);
    assert_eq!(&file.read(0..4).await.unwrap()[..], b"PAR1");
    for wrong in ["", "logs", "logs/", "logs/../errors/x", "metrics/x", "logs/2026-11-20/none.parquet", &key]
    {
        assert_eq!(shown(lake.serve(&grant, wrong).await), "no such file", "{wrong}");
    }
    // Another project's grant does not reach it either.
    let others = lake.mint_token(&bed.other, 60).await.unwrap();
    let others = lake.authorize(&others.token, other).await.unwrap();
    assert_eq!(shown(lake.serve(&others, path).await), "no such file");

    lake.deny(&pinned.files).await.unwrap();
    assert_eq!(shown(lake.serve(&grant, path).await), "the file holds erased rows");

    bed.advance_seconds(3600);
    assert_eq!(shown(lake.authorize(&token.token, shop).await), "a read token is needed");
    lake.upkeep().await.unwrap();
    let left = bed.meta.query("SELECT count(*) FROM candor_lake_token", &[]).await.unwrap();
    assert_eq!(left[0].int(0).unwrap(), 0);
}
