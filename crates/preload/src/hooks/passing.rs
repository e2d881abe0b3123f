//! Functions that take any number of arguments, or return twice: something is done before, and then the next function of the same
//! name goes on with the arguments as they were given, in registers and on the stack, to return to who called us.

/// Functions of the C library's, each with what is done before it, which is given the first argument.
macro_rules! passes_on {
    ($($(#[$about:meta])* $name:ident => $before:path;)*) => {
        $(
            $(#[$about])*
            ///
            /// # Safety
            /// As of the C library's function of this name.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            #[cfg_attr(test, allow(dead_code, reason = "tests are no programs of ours"))]
            #[allow(non_snake_case, reason = "it is the C library's name")]
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                extern "C" fn prepare(first: usize) -> *mut core::ffi::c_void {
                    $before(first);
                    crate::next::passed_on::$name()
                }
                $crate::hooks::passing::keep_arguments_and_go_on!(prepare)
            }
        )*
    };
}
pub(super) use passes_on;

/// All registers that can hold an argument are kept while `$prepare` is called; its answer is where to go on.
#[cfg(target_arch = "x86_64")]
macro_rules! keep_arguments_and_go_on {
    ($prepare:path) => {
        core::arch::naked_asm!(
            // The return address and these make the stack aligned.
            "push rdi", "push rsi", "push rdx", "push rcx", "push r8", "push r9", "push rax",
            "sub rsp, 128",
            "movups [rsp], xmm0", "movups [rsp + 16], xmm1",
            "movups [rsp + 32], xmm2", "movups [rsp + 48], xmm3",
            "movups [rsp + 64], xmm4", "movups [rsp + 80], xmm5",
            "movups [rsp + 96], xmm6", "movups [rsp + 112], xmm7",
            "call {prepare}",
            "mov r11, rax",
            "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]",
            "movups xmm2, [rsp + 32]", "movups xmm3, [rsp + 48]",
            "movups xmm4, [rsp + 64]", "movups xmm5, [rsp + 80]",
            "movups xmm6, [rsp + 96]", "movups xmm7, [rsp + 112]",
            "add rsp, 128",
            "pop rax", "pop r9", "pop r8", "pop rcx", "pop rdx", "pop rsi", "pop rdi",
            "jmp r11",
            prepare = sym $prepare,
        )
    };
}

/// As on the other machine.
#[cfg(target_arch = "aarch64")]
macro_rules! keep_arguments_and_go_on {
    ($prepare:path) => {
        core::arch::naked_asm!(
            "stp x29, x30, [sp, #-208]!",
            "stp x0, x1, [sp, #16]", "stp x2, x3, [sp, #32]",
            "stp x4, x5, [sp, #48]", "stp x6, x7, [sp, #64]",
            "stp q0, q1, [sp, #80]", "stp q2, q3, [sp, #112]",
            "stp q4, q5, [sp, #144]", "stp q6, q7, [sp, #176]",
            "bl {prepare}",
            "mov x16, x0",
            "ldp q6, q7, [sp, #176]", "ldp q4, q5, [sp, #144]",
            "ldp q2, q3, [sp, #112]", "ldp q0, q1, [sp, #80]",
            "ldp x6, x7, [sp, #64]", "ldp x4, x5, [sp, #48]",
            "ldp x2, x3, [sp, #32]", "ldp x0, x1, [sp, #16]",
            "ldp x29, x30, [sp], #208",
            "br x16",
            prepare = sym $prepare,
        )
    };
}
pub(super) use keep_arguments_and_go_on;
