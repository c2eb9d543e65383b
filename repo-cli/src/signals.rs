//! SIGINT and SIGTERM: the first asks the running operation to stop, the second ends the process at once. While no operation
//! runs that would stop in order, as before the repository is open, the first one ends the process. SIGHUP does the same to what asks
//! for that, as it has to put something back: the terminal, or a mount. Else it does what the system does.

use crate::exit::{self, Failure};
use crate::terminal::Terminal;
use repo_core::progress::Interrupt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Set by the first signal; every long operation looks at it.
static INTERRUPT: Interrupt = Interrupt::new();

/// Set by the first signal too, in its handler, so before anything the signal does to other processes is seen.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// Whether an operation looks at [`INTERRUPT`].
static HEEDED: AtomicBool = AtomicBool::new(false);

/// The terminal as it was before a password prompt, while there is one.
static PROMPT: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Takes further signals.
static HANDLE: Mutex<Option<Handle>> = Mutex::new(None);

/// What is done before the second signal ends the process.
static BEFORE_EXIT: Mutex<Option<Last>> = Mutex::new(None);

type Last = Box<dyn FnOnce() + Send>;

/// Begins to listen, with a thread that sleeps until a signal comes; `terminal` hears of one that ends the process.
pub fn listen(terminal: Terminal) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGINT, SIGTERM] {
            // Fails for signals that cannot be handled, which these are not.
            let _ = signal_hook::flag::register(signal, &SIGNALLED);
        }
        // Without a handler a signal ends the process at once, which loses time but nothing else.
        if let Ok(signals) = Signals::new([SIGINT, SIGTERM]) {
            *locked(&HANDLE) = Some(signals.handle());
            let named = std::thread::Builder::new().name("signals".into());
            let _ = named.spawn(move || serve(signals, &terminal));
        }
    });
}

/// What the first signal sets, for an operation that begins now: from here on a signal does no more than that.
pub fn interrupt() -> &'static Interrupt {
    HEEDED.store(true, Ordering::SeqCst);
    &INTERRUPT
}

/// Has something done before the second signal ends the process, and SIGHUP heeded as the others are.
pub fn before_exit(last: impl FnOnce() + Send + 'static) {
    *locked(&BEFORE_EXIT) = Some(Box::new(last));
    heed_hang_up();
}

/// Has SIGHUP heeded as the others are, unless the caller of the program has it ignored, as `nohup` does.
fn heed_hang_up() {
    if is_ignored(SIGHUP) {
        return;
    }
    if let Some(handle) = &*locked(&HANDLE) {
        let _ = handle.add_signal(SIGHUP);
    }
}

/// Whether a signal is ignored, as the system tells it.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Fails once a signal came.
#[cfg(feature = "opendal")]
pub fn check() -> repo_core::Result<()> {
    INTERRUPT.check()
}

/// Whether a signal came. True in the thread that handled it as soon as it runs on.
pub fn came() -> bool {
    SIGNALLED.load(Ordering::SeqCst)
}

fn serve(mut signals: Signals, terminal: &Terminal) {
    let mut before = false;
    for signal in signals.forever() {
        // A terminal that closes sends it, and the shell once more: that is nobody who loses patience.
        if before && signal == SIGHUP {
            continue;
        }
        let at_prompt = restore_terminal();
        // Before it is known whether an operation heeds it: one that begins meanwhile does.
        INTERRUPT.set();
        let heeded = HEEDED.load(Ordering::SeqCst);
        if !at_prompt && !heeded {
            terminal.fatal(&Failure::interrupted(""));
        }
        if at_prompt || !heeded || before {
            #[cfg(feature = "opendal")]
            crate::ssh::end();
            let last = locked(&BEFORE_EXIT).take();
            if let Some(last) = last {
                last();
            }
            signal_hook::low_level::exit(exit::INTERRUPTED.into());
        }
        before = true;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the terminal back if there was a prompt.
fn restore_terminal() -> bool {
    let Some((terminal, settings)) = locked(&PROMPT).take() else {
        return false;
    };
    let _ = tcsetattr(&terminal, OptionalActions::Now, &settings);
    true
}

/// Runs a password prompt. A signal meanwhile puts the terminal back and ends the process with 130.
pub fn during_prompt<T>(prompt: impl FnOnce() -> T) -> T {
    let saved = File::open("/dev/tty").ok().and_then(|tty| {
        let settings = tcgetattr(&tty).ok()?;
        Some((tty, settings))
    });
    let set = |to| *locked(&PROMPT) = to;
    set(saved);
    let answer = prompt();
    set(None);
    answer
}
