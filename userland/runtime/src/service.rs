//! What a service finds at its start, and how a client outlives the end of a service.
//!
//! The supervisor gives handles in this order, so that their numbers are known: 1 the endpoint that
//! the service receives on, 2 the supervisor's, then one for each service that it may call, in
//! the order of the bundle, then what the manifest grants (`granted`). RDI of the first thread has
//! the service's number in its low half, in its high half the argument that the manifest gives it.

use crate::handle::Handle;
use crate::ipc::{self, Message};
use tessera_abi::{error::Error, message};

/// What this service receives on.
pub const OWN: Handle = Handle::from_number(1);
/// The supervisor.
pub const SUPERVISOR: Handle = Handle::from_number(2);

/// Label of a request to the supervisor: word 0 is the number of a service that it shall end.
/// Answer: word 0 is 0, or an `Error` number.
pub const END: u32 = 1;
/// Label: how often service number word 0 was started. Answer: word 0.
pub const STARTS: u32 = 2;
/// Label: this service panics; the words are text, zero padded. Answer: nothing.
pub const PANIC: u32 = 3;
/// Label: what becomes of service number word 0. Answer: words 0 to 2 its name, zero padded; 3 starts; 4
/// failures in a row; 5 a `state`; all ones in word 0 where there is no such service.
pub const DESCRIBE: u32 = 4;
/// Label: word 0 is 1 to keep the system up when all tasks are done, 0 no longer. Needs
/// `bundle::grant::HOLD`. Answer: word 0 is 0, or an `Error` number.
pub const HOLD: u32 = 5;

/// Of `DESCRIBE`.
pub mod state {
    /// It is about to be started.
    pub const WAITS: u64 = 0;
    /// It runs.
    pub const RUNS: u64 = 1;
    /// It is done.
    pub const DONE: u64 = 2;
    /// It failed, and is given up.
    pub const FAILED: u64 = 3;
}

/// The `n`-th right of a service that uses `uses` others. In this order, as far as the manifest grants
/// them: host channel, evidence, inspection, interrupt, shared memory (`shared::Shared`). An interrupt may be missing.
pub const fn granted(uses: u32, n: u32) -> Handle {
    Handle::from_number(3 + uses + n)
}

/// The endpoint of the `n`-th service that this one uses.
pub const fn used(n: u32) -> Handle {
    Handle::from_number(3 + n)
}

/// A service that may end and be started again at any time. Its endpoint is the supervisor's, so
/// the handle stays good; a request whose server died before it answered is sent again.
/// Requests must say so themselves if doing them twice is not the same as once.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    handle: Handle,
    /// Requests that were sent again.
    pub repeated: u64,
}

impl Client {
    /// Of the service behind an endpoint.
    pub const fn new(handle: Handle) -> Self {
        let repeated = 0;
        Self { handle, repeated }
    }

    /// Calls until there is an answer. Errors: `number::CALL`, without `PeerDied`.
    pub fn call(&mut self, label: u32, words: [u64; message::WORDS]) -> Result<Message, Error> {
        let tag = message::tag(label, 0);
        let mut message = Message { tag, words };
        loop {
            match ipc::call(self.handle, &mut message, 0) {
                Err(Error::PeerDied) => self.repeated += 1,
                answer => return answer.map(|()| message),
            }
        }
    }

    /// The same with one word each way.
    pub fn ask(&mut self, label: u32, word: u64) -> Result<u64, Error> {
        let mut words = [0; message::WORDS];
        words[0] = word;
        self.call(label, words).map(|answer| answer.words[0])
    }
}

/// Makes `$main`, a `fn(u64) -> u64` from RDI to the exit code, the program's beginning. A panic
/// is printed, told to the supervisor, and exits with `panic::CODE`.
#[macro_export]
macro_rules! service {
    ($main:path) => {
        $crate::program!($main, $crate::panic::of_service);
    };
}

/// As `service!`, with the function that a panic calls.
#[macro_export]
macro_rules! program {
    ($main:path, $panic:path) => {
        #[allow(unsafe_code)] // the symbol that the linker script names
        #[unsafe(no_mangle)]
        extern "sysv64" fn _start(argument: u64) -> ! {
            $crate::system::exit($main(argument))
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $panic(info)
        }
    };
}
