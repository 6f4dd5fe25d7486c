//! One TD as the module knows it.

use super::{l2::vm::Vm, mrtd::Mrtd, sept::Sept, ve::Info};
use tessera_defs::tdx::{field, status};

/// The TD.
#[derive(Clone, Debug)]
pub struct Td {
    /// TDCS.ATTRIBUTES.
    pub attributes: u64,
    /// TDCS.NUM_L2_VMS.
    pub l2_vms: u64,
    /// Processors.
    pub vcpus: u32,
    /// Index of the one that runs.
    pub index: u32,
    /// Private memory.
    pub sept: Sept,
    /// Launch measurement.
    pub mrtd: Mrtd,
    /// Run-time measurements.
    pub rtmr: [[u8; 48]; 4],
    /// #VE information of the processor that runs, that was not fetched yet.
    pub ve: Option<Info>,
    /// TDCS.NOTIFY_ENABLES.
    pub notify: u64,
    /// Of the processor that runs: CPUID is #VE in supervisor mode (bit 0), in user mode (bit 1).
    pub cpuid_ve: u64,
    /// Its L2 VM 1, which exists where `l2_vms` says so.
    pub l2: Vm,
}

impl Td {
    /// A TD of one L1 VM with `pages` pages of RAM.
    pub fn new(pages: u64) -> Self {
        Self {
            attributes: 0,
            l2_vms: 0,
            vcpus: 1,
            index: 0,
            sept: Sept::new(pages),
            mrtd: Mrtd::default(),
            rtmr: [[0; 48]; 4],
            ve: None,
            notify: 0,
            cpuid_ve: 0,
            l2: Vm::new(u64::MAX),
        }
    }

    /// TDCS fields that the TD can read, by TDG.VM.RD; context and size in the identifier do not
    /// count.
    pub fn field(&self, id: u64) -> Option<u64> {
        const KEY: u64 = 0x3F << 56 | 0xFF_FFFF;
        let key = |id: u64| id & KEY;
        let word = |bytes: &[u8; 48], at: u64| {
            let at = at as usize * 8;
            let bytes = bytes.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        if id & field::NOT_SINGLE != 0 {
            return None;
        }
        let in_mrtd = key(id).wrapping_sub(key(field::MRTD));
        let in_rtmr = key(id).wrapping_sub(key(field::RTMR));
        match key(id) {
            k if k == key(field::NUM_L2_VMS) => Some(self.l2_vms),
            k if k == key(field::NUM_VCPUS) || k == key(field::MAX_VCPUS) => {
                Some(self.vcpus.into())
            }
            k if k == key(field::TD_ATTRIBUTES) => Some(self.attributes),
            k if k == key(field::NOTIFY_ENABLES) => Some(self.notify),
            k if k == key(field::XFAM) => Some(super::report::XFAM),
            k if [field::GPAW, field::CONFIG_FLAGS, field::TD_CTLS]
                .map(key)
                .contains(&k) =>
            {
                Some(0)
            }
            _ if in_mrtd < 6 => word(&self.mrtd.value(), in_mrtd),
            _ if in_rtmr < 24 => word(&self.rtmr[in_rtmr as usize / 6], in_rtmr % 6),
            _ => None,
        }
    }

    /// TDG.VM.WR of the bits of `mask`; the old value. Of TD_CTLS no bit may be set here, because no field says that one
    /// is offered. Errors: the completion status.
    pub fn set_field(&mut self, id: u64, value: u64, mask: u64) -> Result<u64, u64> {
        const KEY: u64 = 0x3F << 56 | 0xFF_FFFF;
        let old = self.field(id).ok_or(status::METADATA_FIELD_ID_INCORRECT)?;
        let is = |known: u64| id & KEY == known & KEY;
        let (writable, offered) = match () {
            () if is(field::NOTIFY_ENABLES) => (1, 1),
            () if is(field::TD_CTLS) => (u64::MAX, 0),
            () => (0, 0),
        };
        if mask & writable == 0 {
            return Err(status::METADATA_FIELD_NOT_WRITABLE);
        }
        if (value ^ old) & mask & !offered != 0 {
            return Err(status::METADATA_FIELD_VALUE_NOT_VALID);
        }
        if is(field::NOTIFY_ENABLES) {
            self.notify = old & !mask | value & mask;
        }
        Ok(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written_is_written_and_the_rest_says_why_not() {
        let mut td = Td::new(16);
        let enables = field::NOTIFY_ENABLES;
        assert_eq!(td.set_field(enables, 1, u64::MAX), Ok(0));
        assert_eq!(td.set_field(enables, 0, u64::MAX), Ok(1), "as Linux does");
        let value = Err(status::METADATA_FIELD_VALUE_NOT_VALID);
        assert_eq!(td.set_field(enables, 2, 2 | 1), value);
        assert_eq!(td.set_field(field::TD_CTLS, 1, 1), value);
        assert_eq!(td.set_field(field::TD_CTLS, 0, 1), Ok(0));
        let denied = Err(status::METADATA_FIELD_NOT_WRITABLE);
        assert_eq!(td.set_field(enables, 0, 2), denied, "no writable bit");
        assert_eq!(td.set_field(field::XFAM, 3, 3), denied);
        let unknown = Err(status::METADATA_FIELD_ID_INCORRECT);
        assert_eq!(td.set_field(1 << 62, 0, 1), unknown);
    }

    #[test]
    fn measurements_are_fields() {
        let mut td = Td::new(16);
        td.rtmr[1][8..16].fill(7);
        let word = td.field(field::RTMR + 7);
        assert_eq!(word, Some(0x0707_0707_0707_0707));
        let mrtd = td.mrtd.value();
        let last = u64::from_le_bytes(mrtd[40..].try_into().unwrap());
        assert_eq!(td.field(field::MRTD + 5), Some(last));
        assert_eq!(td.field(field::MRTD + 6), None);
        assert_eq!(td.field(field::NUM_L2_VMS & !(3 << 32 | 7 << 52)), Some(0));
        assert_eq!(td.field(field::XFAM | 1 << 34), None);
    }
}
