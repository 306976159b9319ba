//! What a program that is built for size has in place of larger parts of its libraries. A linker keeps all
//! that might be called; what is named here is never called, or does as well with less.
//!
//! A name that another C library does not have does no harm, and of two definitions the linker takes this
//! one (`init/build.rs`).
//!
//! Source: the Itanium C++ ABI's level I of exception handling; glibc's `intl/dcgettext.c`,
//! `elf/dl-support.c`, `nptl/pthread_setname.c`, `nptl/pthread_getattr_np.c`, `string/xpg-strerror.c`.

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

/// It has no folders of libraries either, which are put together at each start.
#[unsafe(no_mangle)]
extern "C" fn _dl_init_paths() {}

/// No thread has looked for names of hosts, and at its end there is nothing of that to give back.
#[unsafe(no_mangle)]
extern "C" fn __res_thread_freeres() {}

/// The standard library asks where the stack ends, to say so when it overflows: a fault does without these
/// words, and the answer takes a reader of `/proc/self/maps`.
#[unsafe(no_mangle)]
extern "C" fn pthread_getattr_np(_thread: libc::pthread_t, _stack: *mut c_void) -> c_int {
    libc::ENOSYS
}

/// The standard library names the thread that it is in, and no other.
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_thread: libc::pthread_t, name: *const c_char) -> c_int {
    // SAFETY: the caller's promise: a string that ends.
    unsafe { libc::prctl(libc::PR_SET_NAME, name) }
}

/// An error in words, as many as `buffer` takes.
///
/// # Safety
/// `buffer` has `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __xpg_strerror_r(error: c_int, buffer: *mut c_char, length: usize) -> c_int {
    unsafe extern "C" {
        fn strerrordesc_np(error: c_int) -> *const c_char;
    }
    // SAFETY: it takes any number; what it returns is nothing, or a string of the library's own.
    let known = unsafe { strerrordesc_np(error) };
    let words = if known.is_null() {
        c"unknown error".as_ptr()
    } else {
        known
    };
    for place in 0..length {
        // SAFETY: `place` is inside of the buffer, and not behind the end of `words`.
        unsafe {
            let last = place + 1 == length;
            let byte = if last { 0 } else { *words.add(place) };
            *buffer.add(place) = byte;
            if byte == 0 {
                break;
            }
        }
    }
    0
}

/// Strings that end are the C library's own business, names and paths of the start: it has each of these five times,
/// for processors of each kind.
///
/// # Safety
/// Both end.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcmp(one: *const c_char, other: *const c_char) -> c_int {
    // SAFETY: as for the caller.
    unsafe { strncmp(one, other, usize::MAX) }
}

/// The same for the first `length` bytes.
///
/// # Safety
/// Both end, or have so many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncmp(one: *const c_char, other: *const c_char, length: usize) -> c_int {
    for place in 0..length {
        // SAFETY: none has ended before.
        let (one, other) = unsafe { (*one.add(place), *other.add(place)) };
        if one != other || one == 0 {
            return c_int::from(one.cast_unsigned()) - c_int::from(other.cast_unsigned());
        }
    }
    0
}

/// Copies with the end; returns where that is.
///
/// # Safety
/// `text` ends, and `copy` has room for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn stpcpy(copy: *mut c_char, text: *const c_char) -> *mut c_char {
    let mut place = 0;
    // SAFETY: `text` has not ended before `place`.
    unsafe {
        loop {
            let byte = *text.add(place);
            *copy.add(place) = byte;
            if byte == 0 {
                return copy.add(place);
            }
            place += 1;
        }
    }
}

/// Copies with the end.
///
/// # Safety
/// As for [`stpcpy`].
#[unsafe(no_mangle)]
unsafe extern "C" fn strcpy(copy: *mut c_char, text: *const c_char) -> *mut c_char {
    // SAFETY: as for the caller.
    unsafe { stpcpy(copy, text) };
    copy
}

/// The first place of a byte, which may be the end.
///
/// # Safety
/// `text` ends.
#[unsafe(no_mangle)]
unsafe extern "C" fn strchr(text: *const c_char, byte: c_int) -> *const c_char {
    // SAFETY: as for the caller.
    unsafe { place_of(text, byte, true) }
}

/// The last one.
///
/// # Safety
/// `text` ends.
#[unsafe(no_mangle)]
unsafe extern "C" fn strrchr(text: *const c_char, byte: c_int) -> *const c_char {
    // SAFETY: as for the caller.
    unsafe { place_of(text, byte, false) }
}

/// # Safety
/// `text` ends.
unsafe fn place_of(text: *const c_char, byte: c_int, is_first: bool) -> *const c_char {
    let byte = byte.to_le_bytes()[0].cast_signed();
    let mut found = std::ptr::null();
    for place in 0.. {
        // SAFETY: `text` has not ended before.
        let here = unsafe { text.add(place) };
        // SAFETY: the same.
        let is = unsafe { *here };
        if is == byte {
            found = here;
        }
        if is == 0 || (is_first && is == byte) {
            break;
        }
    }
    found
}

macro_rules! never_called {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            abort()
        }
    )*};
}

// Only unwinding the stack would run what names these: a panic aborts.
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

// No locale is set, nothing is read or written by wide characters, and nothing is formatted by the C library:
// `fprintf` is malloc's, for its statistics.
never_called! {
    __gconv_btwoc_ascii
    __gconv_release_step
    __gconv_transform_ascii_internal
    __gconv_transform_internal_ascii
    __libc_dynarray_at_failure
    __printf_fp
    __printf_fphex
    __snprintf
    __vasprintf_internal
    __vfwprintf_internal
    __wcsmbs_clone_conv
    __wcsmbs_load_conv
    __wcsmbs_named_conv
    fprintf
}

// No library is opened at run time, no stack is made executable, and no name of a host is resolved.
never_called! {
    __libc_dlclose
    __libc_dlopen_mode
    __libc_dlsym
    __nptl_change_stack_perm
    __res_vinit
    __resolv_conf_detach
    __resolv_conf_load
    __resolv_context_freeres
    _dl_make_stack_executable
    _dl_mcount_wrapper_check
    _dl_open
    _dl_relocate_object
    _dl_runtime_profile_avx
    _dl_runtime_profile_avx512
    _dl_runtime_profile_sse
    _dl_runtime_resolve_fxsave
    _dl_runtime_resolve_xsave
    _dl_runtime_resolve_xsavec
}

// The kernel takes memory back when the program ends, not a checker's `__libc_freeres`.
never_called! {
    _nl_archive_subfreeres
    _nl_finddomain_subfreeres
    _nl_locale_subfreeres
}

// These end the program anyway, with more words.
never_called! {
    _IO_vtable_check
    __assert_fail
    __fxprintf
    __readonly_area
    _dl_fatal_printf
    _dl_reloc_bad_type
    _dl_signal_error
}
