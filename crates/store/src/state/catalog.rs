//! The catalog's rows, opaque to the store.

use std::collections::HashSet;

use sqlx::Row;

use super::CatalogEntry;
use crate::{Error, Store};

impl Store {
    /// Makes the stored catalog equal to `entries`, in one transaction: adds, changes, and deletes what is gone.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn save_catalog(&self, entries: &[CatalogEntry]) -> Result<(), Error> {
        let mut transaction = self.state_for_writing()?.begin().await?;
        let upsert = "INSERT INTO catalog VALUES (?, ?) \
                      ON CONFLICT (key) DO UPDATE SET json = excluded.json WHERE json <> excluded.json";
        for entry in entries {
            sqlx::query(upsert).bind(&entry.key).bind(&entry.json).execute(&mut *transaction).await?;
        }
        let keep: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM catalog").fetch_all(&mut *transaction).await?;
        for gone in keys.iter().filter(|key| !keep.contains(key.as_str())) {
            sqlx::query("DELETE FROM catalog WHERE key = ?").bind(gone).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The stored catalog, by key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load_catalog(&self) -> Result<Vec<CatalogEntry>, Error> {
        let rows = sqlx::query("SELECT key, json FROM catalog ORDER BY key").fetch_all(self.state()).await?;
        rows.iter().map(|row| Ok(CatalogEntry { key: row.try_get("key")?, json: row.try_get("json")? })).collect()
    }
}
