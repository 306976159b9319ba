//! What a program that is built for size has in place of larger parts of its libraries, which would do
//! nothing in it: unwinding the stack, as it has no tables for that and its panics abort, with the
//! debug information that the standard library would read for a trace; translations, as it never sets a
//! locale; and libraries that are opened at run time. `init/small.ld` has the rest of the C library that is never reached.
//!
//! Source: the Itanium C++ ABI's level I of exception handling; glibc's `intl/dcgettext.c`.

use std::ffi::{c_char, c_int, c_void};
use std::process::abort;
use std::ptr::null_mut;

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

/// A trace of the stack has no frame: the standard library's code for naming frames is never reached
/// and not linked.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// A message of the C library is in its own language.
#[unsafe(no_mangle)]
extern "C" fn __dcgettext(
    _domain: *const c_char,
    message: *const c_char,
    _category: c_int,
) -> *const c_char {
    message
}

/// A static program has no symbols to find at run time: the standard library asks for one before it
/// starts a thread, and does without.
#[unsafe(no_mangle)]
extern "C" fn dlsym(_library: *mut c_void, _name: *const c_char) -> *mut c_void {
    null_mut()
}

macro_rules! never_called {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            abort()
        }
    )*};
}

// Each is named by code that only unwinding would run.
never_called! {
    _Unwind_FindEnclosingFunction
    _Unwind_ForcedUnwind
    _Unwind_GetCFA
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
    __gcc_personality_v0
}
