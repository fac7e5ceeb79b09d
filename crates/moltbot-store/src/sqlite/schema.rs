//! The form of the file: one migration a role, forward only.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, role and statements. A version that was released never changes: a role that grows gets a further one.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "keys", include_str!("../../migrations/0001_keys.sql")),
    (
        2,
        "ledger",
        include_str!("../../migrations/0002_ledger.sql"),
    ),
    (
        3,
        "counters",
        include_str!("../../migrations/0003_counters.sql"),
    ),
    (4, "kv", include_str!("../../migrations/0004_kv.sql")),
    (
        5,
        "experiments",
        include_str!("../../migrations/0005_experiments.sql"),
    ),
    (6, "chats", include_str!("../../migrations/0006_chats.sql")),
];

/// The newest version.
pub(super) fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|(version, ..)| *version)
        .max()
        .unwrap_or(0)
}

pub(super) fn migrator() -> Migrator {
    let migration = |(version, role, sql): &(i64, &'static str, &'static str)| {
        let kind = MigrationType::Simple;
        Migration::new(*version, (*role).into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}
