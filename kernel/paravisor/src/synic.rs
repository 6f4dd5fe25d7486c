//! Synthetic interrupts. The lower guest's controller is the host's: its pages, which this paravisor shares for it,
//! and its sources, which the guest sets there by its own calls. An interrupt of a source comes as a message to the
//! paravisor, which requests it in the guest's APIC if the guest asked the paravisor for it, too (decision 025). What
//! the guest writes by WRMSR is the controller that the paravisor has for it; nobody posts anything to that one.

use crate::context::Paravisor;
use crate::grant;
use crate::traps;
use core::sync::atomic::{Ordering, fence};
use tessera_defs::hyperv as hv;
use tessera_defs::hyperv::synic::*;
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::synic as layout;
use tessera_protocol::{hyperv, proxy};

/// Enable bit of SCONTROL, SIEFP and SIMP.
const ENABLE: u64 = 1 << 0;
/// Lowest vector of a source (TLFS 11.8.6).
const FIRST_VECTOR: u8 = 16;
/// Type and flags of the message in the slot of SINT0.
const TYPE: core::ops::Range<usize> = 0..4;
const FLAGS: usize = 5;

/// The registers of the controller that the paravisor has for its guest.
pub struct Controller {
    control: u64,
    event_page: u64,
    message_page: u64,
    sources: [u64; SOURCES],
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            control: 0,
            event_page: 0,
            message_page: 0,
            sources: [SINT_MASKED; SOURCES],
        }
    }
}

impl Controller {
    /// RDMSR; `None`: none of its registers.
    pub fn read(&self, msr: u32) -> Option<u64> {
        Some(match msr {
            MSR_SCONTROL => self.control,
            MSR_SVERSION => VERSION,
            MSR_SIEFP => self.event_page,
            MSR_SIMP => self.message_page,
            MSR_EOM => 0,
            msr => self.sources[source(msr)?],
        })
    }

    /// Whether a value names a page anew, which begins with zeros then.
    pub fn names_page(&self, msr: u32, value: u64) -> bool {
        let old = match msr {
            MSR_SIEFP => self.event_page,
            MSR_SIMP => self.message_page,
            _ => return false,
        };
        value & ENABLE != 0 && (old & ENABLE == 0 || (old ^ value) >> 12 != 0)
    }

    /// WRMSR; `None`: none of its registers, or a value that it does not take.
    pub fn write(&mut self, msr: u32, value: u64) -> Option<()> {
        match msr {
            MSR_SCONTROL => self.control = value,
            MSR_SIEFP => self.event_page = value,
            MSR_SIMP => self.message_page = value,
            MSR_EOM if value == 0 => {}
            msr => {
                let legal = value & SINT_MASKED != 0 || value as u8 >= FIRST_VECTOR;
                self.sources[source(msr).filter(|_| legal)?] = value;
            }
        }
        Some(())
    }
}

fn source(msr: u32) -> Option<usize> {
    let at = msr.checked_sub(MSR_SINT0)? as usize;
    (at < SOURCES).then_some(at)
}

/// Shares this processor's pages, gives two of them to the lower guest's controller, and opens the paravisor's own.
/// A host without these registers has no controller, and its guest none, either. Errors: the host refuses the pages.
pub fn open(paravisor: &mut Paravisor<'_>) -> Result<(), Refusal> {
    let identity = paravisor.host.wrmsr(hv::MSR_GUEST_OS_ID, hv::GUEST_OS_ID);
    if identity.is_err() {
        return Ok(());
    }
    let first = layout::of(paravisor.index);
    let pages = grant::pages(first, first + layout::BYTES);
    paravisor.visibility.rescind(pages)?;
    let partition = paravisor.partition;
    let memory = &mut partition.lock().memory;
    (first..first + layout::BYTES)
        .step_by(4096)
        .try_for_each(|page| memory.forget(page))?;
    paravisor.visibility.share(pages)?;
    let mut page = memory.shared_page(first + layout::OWN_MESSAGES)?;
    page.clear();
    let boundary = paravisor.boundary();
    let lower = [
        (REGISTER_SIPP, first + layout::MESSAGES),
        (REGISTER_SIFP, first + layout::EVENTS),
    ]
    .map(|(name, page)| (name, page | boundary | ENABLE));
    let mut input = [0; hv::SET_REGISTERS_HEADER + 2 * hv::SET_REGISTERS_ENTRY];
    let set = hyperv::registers_input(&mut input, &lower).and_then(|(_, control)| {
        let result = paravisor
            .lower
            .hypercall_of_host(control, &input, &mut page)?;
        hyperv::check(control, result)
    });
    page.clear();
    let own = [
        (MSR_SIMP, page.gpa() | ENABLE),
        (
            MSR_SINT0 + u32::from(SINT_INTERCEPTION),
            traps::MESSAGE.into(),
        ),
        (MSR_SCONTROL, ENABLE),
    ];
    let mut own = own.into_iter();
    let opened =
        set.and_then(|()| own.try_for_each(|(msr, value)| paravisor.host.wrmsr(msr, value)));
    paravisor.messages = opened.ok().map(|()| page);
    Ok(())
}

/// The host interrupted, because it has a message for the paravisor: the vectors that it names are requested as far
/// as the guest asked for them. Whatever else stands there is not heard.
pub fn take(paravisor: &mut Paravisor<'_>) {
    if let Some(page) = &mut paravisor.messages {
        let mut kind = [0; 4];
        page.read(TYPE.start, &mut kind);
        if u32::from_le_bytes(kind) == MESSAGE_PROXY_INTERRUPT {
            let mut payload = [0; PROXY_INTERRUPT];
            page.read(MESSAGE_HEADER, &mut payload);
            let vectors = proxy::vectors(&payload);
            let sources = &paravisor.synthetic.controller.sources;
            for vector in proxy::asked(&vectors, sources) {
                paravisor.apic.request(vector, false);
            }
        }
        // TLFS 11.2: the slot is free first, and then it is seen whether another message waits for it.
        TYPE.for_each(|at| page.write_u8(at, 0));
        fence(Ordering::SeqCst);
        let waits = page.read_u8(FLAGS) & MESSAGE_PENDING != 0;
        if waits && paravisor.host.wrmsr(MSR_EOM, 0).is_err() {
            crate::door::refuse(paravisor.host_fault());
        }
    }
    paravisor.end_of_interrupt();
}
