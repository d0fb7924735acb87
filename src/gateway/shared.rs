//! Questions that anybody may ask at any time, and that cost the services work.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The answers to one question, asked by many and worked out once at a time.
///
/// Nobody gets an answer that is older than the question: whoever asks while it is being worked out
/// waits for the next one, and shares it with all who wait. An answer equal to the one before takes
/// no further memory, however many slow clients hold it.
#[derive(Debug)]
pub(super) struct Shared<T> {
    /// How many have asked.
    asked: AtomicU64,
    /// The last answer; it is for those who had asked when there were so many.
    last: Mutex<Option<(u64, T)>>,
}

impl<T: Clone + PartialEq> Shared<T> {
    pub(super) fn new() -> Self {
        Self { asked: AtomicU64::new(0), last: Mutex::new(None) }
    }

    pub(super) async fn ask<F: Future<Output = T>>(&self, answer: impl FnOnce() -> F) -> T {
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
        let shared = Arc::new(Shared::new());
        let (worked, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (shared, worked) = (Arc::clone(&shared), Arc::clone(&worked));
            let go_on = Arc::clone(&go_on);
            tokio::spawn(async move {
                let answer = async || {
                    let number = worked.fetch_add(1, Ordering::SeqCst);
                    go_on.notified().await;
                    number
                };
                shared.ask(answer).await
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
        assert_eq!(first.await.unwrap(), 0);
        go_on.notify_one();
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), 1);
        }
        assert_eq!(worked.load(Ordering::SeqCst), 2);
    }
}
