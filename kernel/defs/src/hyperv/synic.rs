//! Synthetic interrupt controller, synthetic timers, reference time stamp page. Source: TLFS 6.0b,
//! chapters 10 to 12; Proxy of SINTx, direct mode: Microsoft's public `hvdef`.

/// Physical address of the reference time stamp page, and bit 0: enabled.
pub const MSR_REFERENCE_TSC: u32 = 0x4000_0021;
/// Bit 0: the controller works.
pub const MSR_SCONTROL: u32 = 0x4000_0080;
/// Version of the controller; read-only.
pub const MSR_SVERSION: u32 = 0x4000_0081;
/// Page of event flags, and bit 0: enabled.
pub const MSR_SIEFP: u32 = 0x4000_0082;
/// Page of messages, and bit 0: enabled.
pub const MSR_SIMP: u32 = 0x4000_0083;
/// End of message: a write makes the hypervisor look for messages that wait. Reads are 0.
pub const MSR_EOM: u32 = 0x4000_0084;
/// SINT0, the first of `SOURCES`.
pub const MSR_SINT0: u32 = 0x4000_0090;
/// STIMER0_CONFIG; its COUNT is the next one, and so on for `TIMERS`.
pub const MSR_STIMER0_CONFIG: u32 = 0x4000_00B0;
/// Synthetic interrupt sources of a virtual processor.
pub const SOURCES: usize = 16;
/// Synthetic timers of a virtual processor.
pub const TIMERS: usize = 4;
/// `MSR_SVERSION`.
pub const VERSION: u64 = 1;

/// `CPUID_FEATURES`.EAX: the controller's MSRs.
pub const FEATURE_EAX_SYNIC: u32 = 1 << 2;
/// `CPUID_FEATURES`.EAX: the timers' MSRs.
pub const FEATURE_EAX_TIMERS: u32 = 1 << 3;
/// `CPUID_FEATURES`.EAX: the reference time stamp page.
pub const FEATURE_EAX_REFERENCE_TSC: u32 = 1 << 9;
/// `CPUID_FEATURES`.EBX: the partition may post messages.
pub const FEATURE_EBX_POST_MESSAGES: u32 = 1 << 4;
/// `CPUID_FEATURES`.EBX: the partition may signal events.
pub const FEATURE_EBX_SIGNAL_EVENTS: u32 = 1 << 5;
/// `CPUID_FEATURES`.EDX: timers may request a vector without a message.
pub const FEATURE_EDX_DIRECT_TIMERS: u32 = 1 << 19;

/// SINTx: bits 7:0 vector; no interrupt is requested.
pub const SINT_MASKED: u64 = 1 << 16;
/// SINTx: the interrupt ends as it is delivered.
pub const SINT_AUTO_EOI: u64 = 1 << 17;
/// SINTx: the guest polls, no interrupt is requested.
pub const SINT_POLLING: u64 = 1 << 18;
/// SINTx: a paravisor's request to be told of the interrupt in place of the lower guest.
pub const SINT_PROXY: u64 = 1 << 20;

/// `HvRegisterSint0` to 15: the controller's registers as HvCallSetVpRegisters names them, like those that follow.
/// Source: Microsoft's public `hvdef`.
pub const REGISTER_SINT0: u32 = 0x000A_0000;
/// `HvRegisterScontrol`.
pub const REGISTER_SCONTROL: u32 = 0x000A_0010;
/// `HvRegisterSifp`: SIEFP.
pub const REGISTER_SIFP: u32 = 0x000A_0012;
/// `HvRegisterSipp`: SIMP.
pub const REGISTER_SIPP: u32 = 0x000A_0013;
/// `HvRegisterEom`.
pub const REGISTER_EOM: u32 = 0x000A_0014;
/// `HvRegisterStimer0Config`; its count is the next one, and so on.
pub const REGISTER_STIMER0_CONFIG: u32 = 0x000B_0000;

/// STIMERx_CONFIG: bit 0 enabled.
pub const TIMER_ENABLE: u64 = 1 << 0;
/// STIMERx_CONFIG: COUNT is a period, not a time.
pub const TIMER_PERIODIC: u64 = 1 << 1;
/// STIMERx_CONFIG: it may be late until the processor runs anyway.
pub const TIMER_LAZY: u64 = 1 << 2;
/// STIMERx_CONFIG: a write of COUNT enables it.
pub const TIMER_AUTO_ENABLE: u64 = 1 << 3;
/// STIMERx_CONFIG, 11:4: vector of direct mode.
pub const TIMER_VECTOR_SHIFT: u32 = 4;
/// STIMERx_CONFIG: it requests its vector, and sends no message.
pub const TIMER_DIRECT: u64 = 1 << 12;
/// STIMERx_CONFIG, 19:16: the source that its message goes to; 0 is none.
pub const TIMER_SINT_SHIFT: u32 = 16;
/// STIMERx_CONFIG: must be zero.
pub const TIMER_RESERVED: u64 = !0xF_1FFF;

/// `HvCallPostMessage`. Input: connection u32, reserved u32, message type u32, payload bytes u32, then 240
/// bytes of payload.
pub const HVCALL_POST_MESSAGE: u16 = 0x005C;
/// `HvCallSignalEvent`. Input: connection u32, flag u16, reserved u16; may be fast.
pub const HVCALL_SIGNAL_EVENT: u16 = 0x005D;
/// Hypercall status: no such connection.
pub const HV_STATUS_INVALID_CONNECTION_ID: u16 = 0x12;
/// Hypercall status: too many messages wait.
pub const HV_STATUS_INSUFFICIENT_BUFFERS: u16 = 0x13;
/// Hypercall status: the receiver's controller, or its page, is disabled.
pub const HV_STATUS_INVALID_SYNIC_STATE: u16 = 0x18;

/// Bytes of a message's slot, and of a source's event flags.
pub const SLOT: usize = 256;
/// Bytes of a message before its payload: type u32, payload bytes u8, flags u8, reserved u16, sender u64.
pub const MESSAGE_HEADER: usize = 16;
/// Bytes of payload at most.
pub const PAYLOAD: usize = 240;
/// Flags of a message: another one waits for its slot.
pub const MESSAGE_PENDING: u8 = 1 << 0;
/// Bit of the message types that are the hypervisor's own.
pub const MESSAGE_OF_HYPERVISOR: u32 = 1 << 31;
/// Type of a timer's message. Payload: timer u32, reserved u32, expiration u64, delivery u64 (100 ns).
pub const MESSAGE_TIMER_EXPIRED: u32 = 0x8000_0010;
/// Type of the message by which a paravisor hears, in its SINT0, of interrupts for its lower guest (`hvdef`,
/// `HvMessageTypeX64ProxyInterruptIntercept`). Payload: virtual trust level u8; `assert_multiple` u8; reserved u16; then, where
/// the second is 0, one vector u32, else 256 bits of vectors, from bit 0 of the first of eight u32. Source: Microsoft's
/// OpenHCL kernel, `include/hyperv/hvgdk_mini.h`, `hv_x64_proxy_interrupt_message_payload`.
pub const MESSAGE_PROXY_INTERRUPT: u32 = 0x8001_000F;
/// Where the level stands in its payload.
pub const PROXY_LEVEL: usize = 0;
/// Where `assert_multiple` stands.
pub const PROXY_MULTIPLE: usize = 1;
/// Where the vector or the vectors begin.
pub const PROXY_VECTORS: usize = 4;
/// Bytes of its payload.
pub const PROXY_INTERRUPT: usize = PROXY_VECTORS + 32;
/// Source of the messages that are a paravisor's (`hvdef`, `HV_SYNIC_INTERCEPTION_SINT_INDEX`).
pub const SINT_INTERCEPTION: u8 = 0;
/// Event flags of a source.
pub const EVENT_FLAGS: u16 = 2048;
const _: () = assert!(MESSAGE_HEADER + PAYLOAD == SLOT && EVENT_FLAGS as usize == SLOT * 8);
