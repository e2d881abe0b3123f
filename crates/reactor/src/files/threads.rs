//! Calls made by a few threads, where there is no io_uring.

use super::call::Call;
use crate::waker::Bell;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use stdx::slab::Key;

/// The threads, and what they have done.
pub(super) struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Taken from `shared` in one go.
    done: VecDeque<(Key, i32)>,
}

struct Shared {
    queues: Mutex<Queues>,
    /// There is a call to make, or no more will come.
    work: Condvar,
    /// A call is done.
    finished: Condvar,
    bell: Arc<Bell>,
}

struct Queues {
    calls: VecDeque<(Key, Call)>,
    done: VecDeque<(Key, i32)>,
    closing: bool,
}

impl Threads {
    /// Threads for at most `depth` calls at once. They ring `bell` when one is done.
    pub(super) fn new(depth: usize, bell: Arc<Bell>) -> io::Result<Self> {
        let queues = Queues {
            calls: VecDeque::with_capacity(depth),
            done: VecDeque::with_capacity(depth),
            closing: false,
        };
        let shared = Arc::new(Shared {
            queues: Mutex::new(queues),
            work: Condvar::new(),
            finished: Condvar::new(),
            bell,
        });
        let mut threads =
            Self { shared, threads: Vec::with_capacity(THREADS), done: VecDeque::with_capacity(depth) };
        for number in 0..THREADS {
            let shared = Arc::clone(&threads.shared);
            let named = std::thread::Builder::new().name(format!("file-{number}"));
            threads.threads.push(named.stack_size(STACK).spawn(move || shared.run())?);
        }
        Ok(threads)
    }

    /// Queues a call for the next thread that is free.
    pub(super) fn start(&mut self, key: Key, call: Call) {
        self.shared.lock().calls.push_back((key, call));
        self.shared.work.notify_one();
    }

    /// A call that is done, and its result.
    pub(super) fn pop(&mut self) -> Option<(Key, i32)> {
        if self.done.is_empty() && self.shared.bell.answer() {
            core::mem::swap(&mut self.shared.lock().done, &mut self.done);
        }
        self.done.pop_front()
    }

    /// Blocks until a call is done.
    pub(super) fn wait(&mut self) {
        let mut queues = self.shared.lock();
        while queues.done.is_empty() {
            queues = self.shared.finished.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Threads {
    /// Calls already queued are still made.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut queues = self.lock();
        loop {
            if let Some((key, call)) = queues.calls.pop_front() {
                drop(queues);
                let result = call.perform();
                queues = self.lock();
                queues.done.push_back((key, result));
                self.finished.notify_one();
                self.bell.ring();
            } else if queues.closing {
                return;
            } else {
                queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Threads. Most devices want more requests at once than this, but few file systems serve more from buffered calls.
const THREADS: usize = 4;

/// Bytes of a thread's stack: it makes one system call at a time.
const STACK: usize = 64 << 10;
