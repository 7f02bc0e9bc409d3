//! What need not be kept any more goes while the server runs: old events, and pages in memory that nobody asks for.

use std::time::Duration;

use super::Shared;
use crate::error::Result;
use crate::http::server::log::Note;
use crate::store::events;

/// How long it is between two looks for what need not be kept
const EVERY: Duration = Duration::from_mins(10);

/// Deletes what need not be kept, now and then; what fails is tried again the next time.
pub(crate) async fn keep(server: Shared) {
    loop {
        if let Err(error) = prune(&server).await {
            let note = format!("Old events could not be deleted: {error}");
            server.log.write(&Note { at: server.app.now(), note: &note });
        }
        // What was deleted is not kept in memory any longer. Where the database cannot be read, nothing is sent from there either.
        let shared = Shared::clone(&server);
        let _ = server.read_unauthenticated(move |tx| shared.kept.iter().try_for_each(|kept| kept.keep_up(tx))).await;
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
