//! Events that need not be kept any more are deleted while the server runs.

use std::time::Duration;

use super::Shared;
use crate::error::Result;
use crate::http::server::log::Note;
use crate::store::events;

/// How long it is between two looks for events that need not be kept
const EVERY: Duration = Duration::from_mins(10);

/// Deletes the events that need not be kept, now and then; what fails is tried again the next time.
pub(crate) async fn keep(server: Shared) {
    loop {
        if let Err(error) = prune(&server).await {
            let note = format!("Old events could not be deleted: {error}");
            server.log.write(&Note { at: server.app.now(), note: &note });
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn prune(server: &Shared) -> Result<()> {
    let retention = server.options.retention;
    let Some(excess) = server.read_slowly_unauthenticated(move |tx| events::excess(tx, retention)).await? else {
        return Ok(());
    };
    while server.write_unauthenticated(move |tx| events::prune(tx, &excess)).await? && !server.app.is_dry_run() {}
    Ok(())
}
