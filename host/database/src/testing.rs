//! Opens the host's database for tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::HostDatabase;
use host_base::Secret;
use host_test_support::OpenTestDatabase;
use std::path::Path;

impl OpenTestDatabase for HostDatabase {
    async fn open_sqlite(file: &Path) -> Self {
        Self::open(file).await.unwrap()
    }

    async fn open_postgres(url: &str) -> Self {
        Self::connect(&Secret::new(url)).await.unwrap()
    }
}
