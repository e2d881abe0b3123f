//! Other programs: they know nothing of carriers, so what they inherit is TCP's before they run.
//!
//! The C library runs programs in calls whose arguments have no fixed number, too (`execl`). Those cannot be written here, but
//! they can be begun: what has to be done first is done, and then the C library's own goes on where it was called.

use super::hooks;
use super::passing::passes_on;
use crate::connection::Connection;
use crate::{errno, next, process};
use core::ffi::c_void;
use launch::Reason;
use libc::{c_char, c_int, c_long, pid_t};

hooks! {
    /// See the module.
    fn execve(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execve(path, arguments, environment) })
    }

    /// See the module.
    fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execv(path, arguments) })
    }

    /// See the module.
    fn execvp(path: *const c_char, arguments: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execvp(path, arguments) })
    }

    /// See the module.
    fn execvpe(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execvpe(path, arguments, environment) })
    }

    /// See the module.
    fn fexecve(fd: c_int, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::fexecve(fd, arguments, environment) })
    }

    /// See the module.
    fn execveat(
        folder: c_int,
        path: *const c_char,
        arguments: *const *const c_char,
        environment: *const *const c_char,
        flags: c_int,
    ) -> c_int {
        // SAFETY: as the caller has it.
        run(|| unsafe { next::execveat(folder, path, arguments, environment, flags) })
    }

    /// A new process gets what is not closed on exec. What its file actions move to other places was seen when they were made.
    fn posix_spawn(
        pid: *mut pid_t,
        path: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        arguments: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int {
        errno::kept(process::leave_inherited);
        // SAFETY: as the caller has it.
        unsafe { next::posix_spawn(pid, path, actions, attributes, arguments, environment) }
    }

    /// As [`posix_spawn`].
    fn posix_spawnp(
        pid: *mut pid_t,
        file: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        arguments: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int {
        errno::kept(process::leave_inherited);
        // SAFETY: as the caller has it.
        unsafe { next::posix_spawnp(pid, file, actions, attributes, arguments, environment) }
    }

    /// The process ends without anything that it would do at its end; but what it holds is held no more.
    fn _exit(status: c_int) -> () {
        exit(status);
    }

    /// As [`_exit`].
    fn _Exit(status: c_int) -> () {
        exit(status);
    }

    /// The C library runs the shell where nobody sees it.
    fn system(command: *const c_char) -> c_int {
        errno::kept(process::leave_inherited);
        // SAFETY: as the caller has it.
        unsafe { next::system(command) }
    }

    /// As [`system`].
    fn popen(command: *const c_char, mode: *const c_char) -> *mut c_void {
        errno::kept(process::leave_inherited);
        // SAFETY: as the caller has it.
        unsafe { next::popen(command, mode) }
    }

    /// The C library's other name for [`popen`].
    fn _IO_popen(command: *const c_char, mode: *const c_char) -> *mut c_void {
        // SAFETY: as the caller has it.
        unsafe { popen(command, mode) }
    }

    /// A connection that a new process is going to have under another number.
    fn posix_spawn_file_actions_adddup2(actions: *mut c_void, fd: c_int, to: c_int) -> c_int {
        if let Some(connection) = Connection::of(fd) {
            errno::kept(|| connection.leave_alone(fd, Reason::Shared));
        }
        // SAFETY: as the caller has it.
        unsafe { next::posix_spawn_file_actions_adddup2(actions, fd, to) }
    }
}

passes_on! {
    /// A process that has our tables and is not us.
    vfork => divided;
    /// As [`vfork`].
    __vfork => divided;
    /// As [`vfork`].
    _Fork => divided;
    /// As [`vfork`].
    clone => divided;
    /// As [`vfork`].
    __clone => divided;
    /// See the module.
    execl => inherited;
    /// See the module.
    execlp => inherited;
    /// See the module.
    execle => inherited;
}

extern "C" fn divided(_first: usize) {
    process::may_be_another();
}

/// Nobody tells us should it fail; so nothing is given up here, and connections that are shared stay so.
extern "C" fn inherited(_path: usize) {
    errno::kept(process::leave_inherited);
}

fn run(call: impl FnOnce() -> c_int) -> c_int {
    errno::kept(process::before_exec);
    let answer = call();
    errno::kept(process::exec_failed);
    answer
}

fn exit(status: c_int) {
    errno::kept(process::end_at_once);
    loop {
        // SAFETY: it takes numbers, and does not come back.
        unsafe { libc::syscall(libc::SYS_exit_group, c_long::from(status)) };
    }
}
