//! Questions that anybody may ask at any time, and that cost the services work.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::blocking::panicked;
use super::{Reject, on_blocking_thread};
use crate::api::Problem;

/// The answers to one question, asked by many and worked out once at a time.
///
/// Nobody gets an answer that is older than the question: whoever asks while it is being worked out
/// waits for the next one, and shares it with all who wait. An answer equal to the one before takes
/// no further memory, however many slow clients hold it.
#[derive(Debug)]
pub struct Shared<T> {
    /// How many have asked.
    asked: AtomicU64,
    /// The last answer; it is for those who had asked when there were so many.
    last: Mutex<Option<(u64, Result<T, Problem>)>>,
}

impl<T: Clone + PartialEq + Send + 'static> Shared<T> {
    /// Nobody has asked yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { asked: AtomicU64::new(0), last: Mutex::new(None) })
    }

    /// Asks. The work is done where it may block.
    ///
    /// # Errors
    /// The work's own problem; an internal one if the work panicked.
    pub async fn ask(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Reject> {
        let shared = Arc::clone(self);
        let asking = async move {
            let answer = async || on_blocking_thread(work).await.map_err(|Reject(problem)| problem);
            shared.once(answer).await
        };
        // On a task of its own: a client that goes away must not leave work behind that the next
        // question does not know of.
        tokio::spawn(asking).await.map_err(|_| panicked())?.map_err(Reject)
    }

    async fn once<F: Future<Output = Result<T, Problem>>>(
        &self,
        answer: impl FnOnce() -> F,
    ) -> Result<T, Problem> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((asked, found)) = last.as_ref()
            && own < *asked
        {
            return found.clone();
        }
        let asked = self.asked.load(Ordering::SeqCst);
        let new = answer().await;
        let kept = match last.take() {
            Some((_, before)) if before == new => before,
            _ => new,
        };
        *last = Some((asked, kept.clone()));
        kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Shared;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn those_who_wait_share_an_answer_that_is_younger_than_their_question() {
        let shared = Shared::<u32>::new();
        let (worked, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (shared, worked) = (Arc::clone(&shared), Arc::clone(&worked));
            let go_on = Arc::clone(&go_on);
            tokio::spawn(async move {
                let answer = async || {
                    let number = worked.fetch_add(1, Ordering::SeqCst);
                    go_on.notified().await;
                    Ok(number)
                };
                shared.once(answer).await
            })
        };
        let first = ask();
        while worked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..5).map(|_| ask()).collect();
        while shared.asked.load(Ordering::SeqCst) < 6 {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 0);
        go_on.notify_one();
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap(), 1);
        }
        assert_eq!(worked.load(Ordering::SeqCst), 2);
    }
}
