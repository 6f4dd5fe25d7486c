//! The GHCB page protocol's exit over a mapped shared page. Source: 56421 rev. 2.04, table 3.
#![allow(unsafe_code)] // reason: WRMSR and VMGEXIT

use crate::instr::{wait_for_interrupt, without_interrupts, wrmsr};
use crate::isolation;
use crate::shared::SharedPage;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};
use tessera_defs::snp::ghcb::{
    GhcbPage as Layout, HYPERCALL_CONTROL, HYPERCALL_OUTPUT_GPA, PROTOCOL_VERSION,
    SHARED_BUFFER_OFFSET, USAGE_HYPERCALL,
};
use tessera_defs::snp::ghcb_msr::MSR_GHCB;
use tessera_protocol::ghcb::frame::GhcbFrame;
use tessera_protocol::traits::Vmgexit;

const BITMAP: usize = offset_of!(Layout, valid_bitmap);
/// 16 bytes, a bit for each of the 128 quadwords that the fields are in (56421, table 3).
const BITMAP_WORDS: usize = 2;
/// The last word: reserved bytes, protocol version in 31:16, usage in 63:32.
const TRAILER: usize = offset_of!(Layout, protocol_version) - 2;

/// Says where the processor that asks has its GHCB: virtual and guest physical address.
pub type Locate = fn() -> (u64, u64);

static LOCATE: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// From now on every exchange goes through the page of the processor that makes it, whatever page
/// the value was made for: a registered GHCB is one processor's.
///
/// # Safety
/// What `locate` says is true: shared, registered, mapped, and no other processor's.
pub unsafe fn one_a_processor(locate: Locate) {
    LOCATE.store(locate as *mut (), Ordering::Release);
}

/// A shared page that is registered as this processor's GHCB.
#[derive(Debug)]
pub struct GhcbPage {
    page: SharedPage,
}

impl GhcbPage {
    /// Takes the page.
    ///
    /// # Safety
    /// SNP; the page is shared and registered (`protocol::ghcb_msr::register_ghcb`); the page
    /// states that callers ask for concern only memory that no live object stands in.
    pub unsafe fn new(page: SharedPage) -> Self {
        Self { page }
    }

    /// Guest physical address.
    pub fn gpa(&self) -> u64 {
        self.page.gpa()
    }

    /// The page of the processor that asks.
    fn here(&self) -> Self {
        let locate = LOCATE.load(Ordering::Acquire);
        if locate.is_null() {
            return self.handle();
        }
        // SAFETY: only `one_a_processor` stores here, and it stores a `Locate`.
        let locate = unsafe { core::mem::transmute::<*mut (), Locate>(locate) };
        let (virt, gpa) = locate();
        // SAFETY: the promise of `one_a_processor`; as in `handle`.
        let page = unsafe { SharedPage::new(virt, gpa) };
        Self { page }
    }

    /// Another handle to the same page, for a second protocol over it. An exchange is whole:
    /// interrupts are off from the first write to the last read, and nothing in between
    /// executes another one, so handles of one processor never meet in the page.
    pub fn handle(&self) -> Self {
        // SAFETY: the same mapping, reached by single volatile accesses only; as above.
        let page = unsafe { SharedPage::new(self.page.virt(), self.page.gpa()) };
        Self { page }
    }

    /// Gives the page back.
    pub fn into_page(self) -> SharedPage {
        self.page
    }

    /// What an exchange before this one left must not count in it: a field counts where its bit in
    /// the bitmap is set. A hypercall's page has no bitmap. The rest was shown to the host already.
    fn clear(&mut self, usage: u32) {
        if usage == USAGE_HYPERCALL {
            return self.page.clear();
        }
        for word in 0..BITMAP_WORDS {
            self.page.write_u64(BITMAP + word * 8, 0);
        }
    }

    fn set(&mut self, offset: usize, value: u64) {
        self.page.write_u64(offset, value);
        let (word, bit) = (BITMAP + offset / 512 * 8, offset / 8 % 64);
        let bitmap = self.page.read_u64(word) | 1 << bit;
        self.page.write_u64(word, bitmap);
    }

    fn get(&self, offset: usize) -> Option<u64> {
        let bitmap = self.page.read_u64(BITMAP + offset / 512 * 8);
        (bitmap >> (offset / 8 % 64) & 1 == 1).then(|| self.page.read_u64(offset))
    }

    fn store_standard(&mut self, frame: &GhcbFrame) {
        for (offset, value) in registers(frame) {
            if let Some(value) = value {
                self.set(offset, value);
            }
        }
        self.set(offset_of!(Layout, sw_exit_code), frame.exit_code);
        self.set(offset_of!(Layout, sw_exit_info1), frame.info1);
        self.set(offset_of!(Layout, sw_exit_info2), frame.info2);
        if frame.scratch {
            let address = self.page.gpa() + SHARED_BUFFER_OFFSET as u64;
            self.set(offset_of!(Layout, sw_scratch), address);
        }
        self.page
            .write(SHARED_BUFFER_OFFSET, &frame.buffer[..frame.used]);
    }

    fn load_standard(&self, frame: &mut GhcbFrame) {
        frame.rax = self.get(offset_of!(Layout, rax));
        frame.rbx = self.get(offset_of!(Layout, rbx));
        frame.rcx = self.get(offset_of!(Layout, rcx));
        frame.rdx = self.get(offset_of!(Layout, rdx));
        frame.info1 = self.page.read_u64(offset_of!(Layout, sw_exit_info1));
        frame.info2 = self.page.read_u64(offset_of!(Layout, sw_exit_info2));
        self.page
            .read(SHARED_BUFFER_OFFSET, &mut frame.buffer[..frame.used]);
    }

    fn store_hypercall(&mut self, frame: &GhcbFrame) {
        self.page.write(0, &frame.buffer[..frame.used]);
        self.page.write_u64(HYPERCALL_OUTPUT_GPA, frame.output_gpa);
        self.page.write_u64(HYPERCALL_CONTROL, frame.control);
    }

    fn exit(&mut self) {
        // SAFETY: the GHCB is filled in, shared and registered; effects by the promise of
        // `new`. Interrupts are off (see `vmgexit`).
        unsafe {
            wrmsr(MSR_GHCB, self.page.gpa());
            isolation::vmgexit();
        }
    }
}

fn registers(frame: &GhcbFrame) -> [(usize, Option<u64>); 5] {
    [
        (offset_of!(Layout, rax), frame.rax),
        (offset_of!(Layout, rbx), frame.rbx),
        (offset_of!(Layout, rcx), frame.rcx),
        (offset_of!(Layout, rdx), frame.rdx),
        (offset_of!(Layout, xcr0), frame.xcr0),
    ]
}

impl Vmgexit for GhcbPage {
    fn vmgexit(&mut self, frame: &mut GhcbFrame) {
        without_interrupts(|| {
            let here = &mut self.here();
            here.clear(frame.usage);
            let trailer = u64::from(PROTOCOL_VERSION) << 16 | u64::from(frame.usage) << 32;
            here.page.write_u64(TRAILER, trailer);
            if frame.usage == USAGE_HYPERCALL {
                here.store_hypercall(frame);
                here.exit();
                frame.control = here.page.read_u64(HYPERCALL_CONTROL);
            } else {
                here.store_standard(frame);
                here.exit();
                here.load_standard(frame);
            }
        });
    }

    fn halt(&mut self) {
        wait_for_interrupt();
    }
}
