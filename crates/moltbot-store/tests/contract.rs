//! Every backend passes the same cases.

mod memory {
    moltbot_store::contract! { async { (moltbot_store::Store::memory(), ()) } }
}

mod sqlite {
    moltbot_store::contract! {
        async {
            let folder = tempfile::tempdir().unwrap();
            let place = moltbot_store::Place::Sqlite(folder.path().join("data/moltbot.db"));
            (moltbot_store::Store::open(&place).await.unwrap(), folder)
        }
    }
}
