//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process ended by its user's Ctrl-C before it was done, as shells report it.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// A token that is cancelled by the first signal.
pub(crate) fn shutdown_token() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        stop.cancel();
        next().await;
        std::process::exit(EXIT_INTERRUPTED.into());
    });
    Ok(token)
}
