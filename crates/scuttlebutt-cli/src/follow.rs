//! Printing changes as they happen, until somebody has had enough: `serve` and `watch`.

use std::time::Duration;

use scuttlebutt_net::{Node, Subscription};
use scuttlebutt_store::StoreError;

use crate::change::Format;
use crate::data;
use crate::exit::Failure;
use crate::model::Shown;
use crate::printer::Printer;
use crate::signals::Signals;

/// How long whoever reads stdout may take for the last lines.
const LAST_LINES_WAIT: Duration = Duration::from_secs(5);

/// Prints changes until a signal comes, stdout is closed or the disk fails, then shuts the node down
/// in good order.
pub(crate) async fn follow<M: Shown>(
    node: Node<M>,
    mut changes: Subscription<M>,
    format: Format,
    printer: Printer,
    mut signals: Signals,
) -> Result<(), Failure> {
    let mut failure = None;
    // One that is only read has failed to write from the start.
    let is_written = node.store().is_some_and(|store| !store.is_read_only());
    loop {
        let notice = tokio::select! {
            notice = changes.next() => notice,
            () = printer.closed() => break,
            _ = signals.next() => break,
            error = node.store_failure(), if is_written => {
                if let (StoreError::Gone { .. }, Some(store)) = (&*error, node.store()) {
                    data::rescue(store).await;
                }
                failure = Some(data::failure(&error));
                break;
            }
        };
        let Some(notice) = notice else { break };
        tokio::select! {
            printed = printer.print(format.notice::<M>(&notice)) => if printed.is_err() { break },
            _ = signals.next() => break,
        }
    }
    tracing::info!("shutting down");
    signals.end_at_next();
    node.shutdown().await;
    let rest = async {
        while let Some(notice) = changes.next().await {
            if printer.print(format.notice::<M>(&notice)).await.is_err() {
                break;
            }
        }
        printer.finish().await
    };
    let printed = tokio::time::timeout(LAST_LINES_WAIT, rest).await.unwrap_or(Ok(()));
    failure.map_or(printed, Err)
}
