use super::*;

/// What the filter does with a call, read as the kernel reads it.
fn verdict(filter: &BpfProgram, call: i64, arguments: [u64; 6]) -> u32 {
    const ARCH: u32 = if cfg!(target_arch = "x86_64") {
        0xc000_003e
    } else {
        0xc000_00b7
    };
    let mut data = Vec::new();
    data.extend((call as u32).to_ne_bytes());
    data.extend(ARCH.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let (mut at, mut a) = (0, 0_u32);
    loop {
        let step = &filter[at];
        at += 1;
        match step.code {
            // load a word
            0x20 => {
                let from = step.k as usize;
                a = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            }
            // and
            0x54 => a &= step.k,
            // jump, by equal, greater, at least
            0x05 => at += step.k as usize,
            0x15 | 0x25 | 0x35 => {
                let holds = match step.code {
                    0x15 => a == step.k,
                    0x25 => a > step.k,
                    _ => a >= step.k,
                };
                at += usize::from(if holds { step.jt } else { step.jf });
            }
            // return
            0x06 => return step.k,
            code => panic!("an instruction that this test does not know: {code:#x}"),
        }
    }
}

const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;

#[test]
fn no_system_call_passes_but_those_of_the_list() {
    let filter = filter().unwrap();
    let special = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_mmap,
        libc::SYS_mprotect,
    ];
    for call in 0..2000 {
        let allowed = ALLOWED.contains(&call);
        if !special.contains(&call) {
            let expected = if allowed { ALLOW } else { REFUSE };
            assert_eq!(
                verdict(&filter, call, [0; 6]),
                expected,
                "system call {call}"
            );
        }
    }
    for forbidden in [
        libc::SYS_ptrace,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_process_vm_readv,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_memfd_create,
        libc::SYS_prlimit64,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
    ] {
        assert_eq!(
            verdict(&filter, forbidden, [0; 6]),
            REFUSE,
            "system call {forbidden}"
        );
    }
}

#[test]
fn files_that_were_open_before_are_out_of_reach() {
    let filter = filter().unwrap();
    for (call, passes) in [(libc::SYS_read, 0..1), (libc::SYS_write, 1..3)] {
        for file in 0..64 {
            let expected = if passes.contains(&file) {
                ALLOW
            } else {
                REFUSE
            };
            assert_eq!(
                verdict(&filter, call, [file, 0, 0, 0, 0, 0]),
                expected,
                "{call} of {file}"
            );
        }
    }
}

#[test]
fn memory_does_not_become_code() {
    let filter = filter().unwrap();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let with = |protection: i32| verdict(&filter, call, [0, 4096, protection as u64, 0, 0, 0]);
        assert_eq!(with(libc::PROT_READ | libc::PROT_WRITE), ALLOW);
        assert_eq!(with(libc::PROT_READ | libc::PROT_EXEC), REFUSE);
    }
}

#[test]
fn another_architecture_does_not_get_around_the_filter() {
    let filter = filter().unwrap();
    // The filter begins by ending whatever calls by another table of numbers.
    assert_eq!((filter[0].code, filter[0].k), (0x20, 4));
    assert!(
        filter
            .iter()
            .any(|step| step.code == 0x06 && step.k == 0x8000_0000)
    );
    // x32 numbers are other numbers.
    assert_eq!(
        verdict(&filter, 0x4000_0000 + libc::SYS_brk, [0; 6]),
        REFUSE
    );
}
