//! The overview of admins, which is counted at most once a minute, however many of them look at it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{Shared, aside};
use crate::error::Result;
use crate::service::overview::Overview;
use crate::store::Sizes;

/// How long it is shown again
const KNOWN: Duration = Duration::from_mins(1);

/// The overview, and how much room the database takes
pub(crate) struct Counted {
    pub(crate) overview: Overview,
    pub(crate) sizes: Sizes,
}

/// What was counted last, and when
#[derive(Default)]
pub(crate) struct LastOverview(Mutex<Option<(Instant, Arc<Counted>)>>);

impl LastOverview {
    /// What was counted less than a minute ago, or now by `count`: whoever comes meanwhile waits for it.
    pub(crate) async fn get(
        &self,
        server: &Shared,
        count: impl Future<Output = Result<Overview>>,
    ) -> Result<Arc<Counted>> {
        let mut last = self.0.lock().await;
        if let Some((_, counted)) = last.as_ref().filter(|(since, _)| since.elapsed() < KNOWN) {
            return Ok(Arc::clone(counted));
        }
        let shared = Arc::clone(server);
        let (overview, sizes) = (count.await?, aside(move || shared.app.pool().sizes()).await?);
        let counted = Arc::new(Counted { overview, sizes });
        *last = Some((Instant::now(), Arc::clone(&counted)));
        Ok(counted)
    }

    /// Forgets it, where the database returned to an earlier state.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}
