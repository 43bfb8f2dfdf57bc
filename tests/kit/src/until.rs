//! Waiting without sleeping blindly: a condition, asked again until it holds or a deadline says it never will.

use std::fmt::Debug;
use std::time::Duration;

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Asks again and again until the answer is `Some`; panics with `what` after [`PATIENCE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let ask_on = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ok(answer) = tokio::time::timeout(PATIENCE, ask_on).await else { panic!("never happened: {what}") };
    answer
}

/// The error of a result that must be one.
pub fn refused<T: Debug, E>(result: Result<T, E>) -> E {
    match result {
        Ok(value) => panic!("must have been refused: {value:?}"),
        Err(error) => error,
    }
}
