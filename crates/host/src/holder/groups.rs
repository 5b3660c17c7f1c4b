//! Programs that set their groups, where nobody may set groups.
//!
//! Whoever maps their own group into a user namespace gives up setgroups(2) in it (user_namespaces(7)). But programs
//! that take care of their privileges call it even to stay root, `tcpdump -Z root` among them, and end when it fails.
//! There is one group to be had here: setting them can as well do nothing, and succeed.

use std::io;

/// The architecture whose numbers of system calls we know (linux/audit.h); another one's mean others.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where `struct seccomp_data` (seccomp(2)) has the number of the call and the architecture.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// Has setgroups(2) succeed and do nothing, in this thread and all that comes from it. Needs `CAP_SYS_ADMIN` in the
/// user namespace, which whoever has entered it has.
pub(super) fn pretend() -> io::Result<()> {
    let setgroups = u32::try_from(libc::SYS_setgroups).map_err(io::Error::other)?;
    let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let skip_unless = |value, skip| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 0, skip);
    let answer = |value| instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let mut filter = [
        load(ARCH),
        skip_unless(ARCHITECTURE, 3),
        load(NUMBER),
        skip_unless(setgroups, 1),
        // Error 0 is success, without the call.
        answer(libc::SECCOMP_RET_ERRNO),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its instructions live through the call, which copies them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_groups_succeeds_and_does_nothing() {
        // A thread of its own: the filter stays with it.
        let groups = std::thread::spawn(|| {
            let before = rustix::process::getgroups().unwrap();
            // SAFETY: it takes numbers only; without new privileges everybody may filter.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
            pretend().unwrap();
            let other: [libc::gid_t; 2] = [4321, 4322];
            // SAFETY: the list lives through the call.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setgroups, other.len(), other.as_ptr()) }, 0);
            (before, rustix::process::getgroups().unwrap())
        });
        let (before, after) = groups.join().unwrap();
        assert_eq!(before, after);
    }
}
