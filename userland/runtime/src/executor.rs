//! Tasks of one thread. The crate `async-task` makes a future a task; here is the queue, and the wait:
//! one `receive` on the service's endpoint, which a bound notification and the next timer end too.
//!
//! Whoever calls the service is answered between two waits, by a function: the kernel drops a caller
//! whose server waits again.

use crate::handle::Handle;
use crate::ipc::{self, Message, Received};
use crate::{service, system};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use async_task::{Runnable, Task};
use core::future::{Future, poll_fn};
use core::task::{Poll, Waker};
use spin::mutex::SpinMutex;
use tessera_abi::error::Error;

/// Tasks that can run.
static READY: SpinMutex<VecDeque<Runnable>> = SpinMutex::new(VecDeque::new());
static EVENTS: SpinMutex<Events> = SpinMutex::new(Events {
    notification: Handle::NONE,
    pending: 0,
    waits: Vec::new(),
    timers: Vec::new(),
});

/// What tasks wait for.
struct Events {
    notification: Handle,
    /// Bits that came and that nobody took.
    pending: u64,
    waits: Vec<Waker>,
    /// When, in microseconds of the system's clock.
    timers: Vec<(u64, Waker)>,
}

/// Starts a task. It runs when the one that runs now waits; dropping the handle ends it.
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (runnable, task) = async_task::spawn(future, |runnable| READY.lock().push_back(runnable));
    runnable.schedule();
    task
}

/// Runs tasks until `main` is done, and `answer`s who calls this service: badge and message to
/// reply. Errors: those of the calls.
pub fn run<T: Send + 'static>(
    main: impl Future<Output = T> + Send + 'static,
    mut answer: impl FnMut(u64, &Message) -> Message,
) -> Result<T, Error> {
    let notification = notification()?;
    notification.bind()?;
    let mut main = spawn(main);
    loop {
        loop {
            let next = READY.lock().pop_front();
            let Some(next) = next else { break };
            next.run();
        }
        let mut context = core::task::Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = core::pin::Pin::new(&mut main).poll(&mut context) {
            Handle::NONE.bind()?;
            return Ok(result);
        }
        wait(&mut answer)?;
    }
}

/// The notification whose bits tasks wait for. Errors: those of `Handle::notification`.
pub fn notification() -> Result<Handle, Error> {
    let mut events = EVENTS.lock();
    if events.notification == Handle::NONE {
        events.notification = Handle::notification()?;
    }
    Ok(events.notification)
}

/// Waits for any of `bits` of the notification, and takes those that came.
pub async fn bits(bits: u64) -> u64 {
    poll_fn(|context| {
        let mut events = EVENTS.lock();
        let came = events.pending & bits;
        events.pending &= !bits;
        if came != 0 {
            return Poll::Ready(came);
        }
        events.waits.push(context.waker().clone());
        Poll::Pending
    })
    .await
}

/// Waits at least so many microseconds of the mode's clock, whose pace is the host's.
pub async fn after(microseconds: u64) {
    let due = now().saturating_add(microseconds);
    poll_fn(|context| {
        if now() >= due {
            return Poll::Ready(());
        }
        EVENTS.lock().timers.push((due, context.waker().clone()));
        Poll::Pending
    })
    .await
}

/// Lets the other tasks run.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

fn now() -> u64 {
    system::info().map_or(0, |info| info.now)
}

fn wait(answer: &mut impl FnMut(u64, &Message) -> Message) -> Result<(), Error> {
    let mut request = Message::default();
    match ipc::receive(service::OWN, &mut request, timeout()) {
        Ok(Received::Notified(bits)) => {
            let mut events = EVENTS.lock();
            events.pending |= bits;
            let waits = core::mem::take(&mut events.waits);
            drop(events);
            waits.into_iter().for_each(Waker::wake);
        }
        Ok(Received::Message(badge)) => {
            let reply = answer(badge, &request);
            let _gone = ipc::reply(&reply);
        }
        Err(Error::TimedOut) => {}
        Err(error) => return Err(error),
    }
    fire();
    Ok(())
}

/// Until the next timer; 0: for ever.
fn timeout() -> u32 {
    let first = EVENTS.lock().timers.iter().map(|(due, _)| *due).min();
    first.map_or(0, |due| {
        due.saturating_sub(now()).clamp(1, (u32::MAX / 2).into()) as u32
    })
}

/// Wakes whose time has come.
fn fire() {
    let now = now();
    let mut woken = Vec::new();
    EVENTS.lock().timers.retain(|(due, waker)| {
        if *due <= now {
            woken.push(waker.clone());
        }
        *due > now
    });
    woken.into_iter().for_each(Waker::wake);
}
