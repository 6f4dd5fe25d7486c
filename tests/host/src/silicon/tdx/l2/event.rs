//! Events into and out of an L2 VM. VMX and SVM describe them almost alike. Source: Intel SDM
//! vol. 3, 26.2.1.3 (checks) and 24.8.3; APM vol. 2, 15.20.

use super::vmcs::Vmcs;
use tessera_defs::{
    snp::vc,
    vmx::{event::*, vmcs},
};

/// Hardware exceptions that push an error code.
const WITH_CODE: u32 = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

/// What L1 wants delivered at entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Information, valid bit included.
    pub info: u32,
    /// Error code.
    pub error: u32,
    /// Bytes of the instruction that raises a software event.
    pub length: u32,
}

/// A control field that makes the processor refuse the entry: fatal to the TDX module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Entry {
    /// The event in the VMCS, if there is one.
    pub fn of(fields: &Vmcs) -> Result<Option<Self>, Malformed> {
        let read = |encoding| fields.get(encoding) as u32;
        let entry = Self {
            info: read(vmcs::ENTRY_INTERRUPTION_INFO),
            error: read(vmcs::ENTRY_EXCEPTION_ERROR_CODE),
            length: read(vmcs::ENTRY_INSTRUCTION_LENGTH),
        };
        match entry.info & VALID {
            0 => Ok(None),
            _ if entry.well_formed() => Ok(Some(entry)),
            _ => Err(Malformed),
        }
    }

    fn well_formed(&self) -> bool {
        let vector = self.info & VECTOR;
        let code = self.info & ERROR_CODE != 0;
        let kind = match self.info & TYPE {
            EXTERNAL => true,
            NMI => vector == 2,
            EXCEPTION => vector <= 31,
            SOFTWARE_INTERRUPT | PRIVILEGED_SOFTWARE | SOFTWARE_EXCEPTION => {
                (1..=15).contains(&self.length)
            }
            _ => false,
        };
        let expected = self.info & TYPE == EXCEPTION && WITH_CODE >> (vector & 31) & 1 == 1;
        let error = !code || self.error >> 16 == 0;
        kind && code == expected && error && self.info & RESERVED == 0
    }

    /// It is an external interrupt, which RFLAGS.IF must allow.
    pub fn external(&self) -> bool {
        self.info & TYPE == EXTERNAL
    }

    /// EVENTINJ, and by how much RIP moves first.
    pub fn injection(&self) -> (u64, u64) {
        let (kind, skip) = match self.info & TYPE {
            PRIVILEGED_SOFTWARE | SOFTWARE_EXCEPTION => (EXCEPTION, self.length),
            SOFTWARE_INTERRUPT => (SOFTWARE_INTERRUPT, self.length),
            other => (other, 0),
        };
        let low = self.info & (VECTOR | ERROR_CODE | VALID) | kind;
        let code = if self.info & ERROR_CODE != 0 {
            self.error
        } else {
            0
        };
        (u64::from(low) | u64::from(code) << 32, skip.into())
    }
}

/// IDT-vectoring information and error code of SVM's EXITINTINFO; 0 where nothing was
/// interrupted.
pub fn vectoring(exit_int_info: u64) -> (u32, u32) {
    if exit_int_info & vc::event::VALID == 0 {
        return (0, 0);
    }
    let info = exit_int_info as u32 & (VECTOR | TYPE | ERROR_CODE | VALID);
    let code = info & ERROR_CODE != 0;
    (
        info,
        if code {
            (exit_int_info >> 32) as u32
        } else {
            0
        },
    )
}

/// Interruption information of an exception that exits.
pub fn exception(vector: u8, error: Option<u32>) -> (u32, u32) {
    let kind = if matches!(vector, 3 | 4) {
        SOFTWARE_EXCEPTION
    } else {
        EXCEPTION
    };
    let code = if error.is_some() { ERROR_CODE } else { 0 };
    let info = u32::from(vector) | kind | code | VALID;
    (info, error.unwrap_or(0))
}

/// Whether a hardware exception pushes an error code.
pub fn has_code(vector: u8) -> bool {
    vector < 32 && WITH_CODE >> vector & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(info: u32, error: u32, length: u32) -> Result<Option<Entry>, Malformed> {
        let mut fields = Vmcs::new(u64::MAX);
        fields.set(vmcs::ENTRY_INTERRUPTION_INFO, info.into());
        fields.set(vmcs::ENTRY_EXCEPTION_ERROR_CODE, error.into());
        fields.set(vmcs::ENTRY_INSTRUCTION_LENGTH, length.into());
        Entry::of(&fields)
    }

    #[test]
    fn what_vmx_takes() {
        assert_eq!(entry(0x20, 0, 0), Ok(None), "not valid");
        let timer = entry(VALID | 0x20, 0, 0).unwrap().unwrap();
        assert!(timer.external());
        assert_eq!(timer.injection(), (0x8000_0020, 0));
        let fault = entry(VALID | ERROR_CODE | EXCEPTION | 13, 8, 0);
        assert_eq!(fault.unwrap().unwrap().injection().0, 8 << 32 | 0x8000_0B0D);
        let breakpoint = entry(VALID | SOFTWARE_EXCEPTION | 3, 0, 1);
        assert_eq!(breakpoint.unwrap().unwrap().injection(), (0x8000_0303, 1));
        assert!(entry(VALID | NMI | 2, 0, 0).is_ok());
    }

    #[test]
    fn what_vmx_refuses() {
        for (info, error, length) in [
            (VALID | EXCEPTION | 13, 0, 0),
            (VALID | ERROR_CODE | EXCEPTION | 6, 0, 0),
            (VALID | ERROR_CODE | EXCEPTION | 13, 0x1_0000, 0),
            (VALID | NMI | 3, 0, 0),
            (VALID | EXCEPTION | 32, 0, 0),
            (VALID | 1 << 8 | 0x20, 0, 0),
            (VALID | 7 << 8, 0, 0),
            (VALID | 1 << 12 | 0x20, 0, 0),
            (VALID | SOFTWARE_INTERRUPT | 0x80, 0, 0),
        ] {
            assert_eq!(entry(info, error, length), Err(Malformed), "{info:#x}");
        }
    }

    #[test]
    fn an_interrupted_delivery_is_told() {
        assert_eq!(vectoring(0x0B0D), (0, 0));
        assert_eq!(vectoring(5 << 32 | 0x8000_0B0E), (0x8000_0B0E, 5));
        assert_eq!(vectoring(5 << 32 | 0x8000_0020), (0x8000_0020, 0));
    }
}
