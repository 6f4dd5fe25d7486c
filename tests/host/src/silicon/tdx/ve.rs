//! #VE information, one block per processor. Source: 348551, TDG.VP.VEINFO.GET; Intel SDM
//! vol. 3, 26.5.7.

use crate::svm::exit;
use tessera_defs::{snp::vc, tdx::page::io};

/// What a #VE is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Basic exit reason (`defs::vmx`).
    pub reason: u32,
    /// Exit qualification.
    pub qualification: u64,
    /// Guest linear address of an EPT violation; 0 where the instruction was not decoded.
    pub gla: u64,
    /// Guest physical address, with its shared bit.
    pub gpa: u64,
    /// Bytes of the instruction.
    pub length: u32,
}

/// Qualification of an I/O instruction from SVM's EXITINFO1 (APM vol. 2, 15.10.2).
pub fn io_qualification(info: u64) -> u64 {
    let size = (info >> 4 & 7).max(1);
    let bit = |from: u64, to: u64| if info & from != 0 { to } else { 0 };
    (size - 1)
        | bit(vc::io::IN, io::IN)
        | bit(vc::io::STRING, io::STRING)
        | bit(vc::io::REP, io::REP)
        | (info >> vc::io::PORT_SHIFT & 0xFFFF) << io::PORT_SHIFT
}

/// Qualification of an EPT violation from SVM's EXITINFO1: bits 0 read, 1 write, 2 fetch. Bit 7
/// (the linear address is valid) is the caller's.
pub fn ept_qualification(info: u64) -> u64 {
    match (info & exit::NPF_WRITE != 0, info & exit::NPF_FETCH != 0) {
        (true, _) => 2,
        (_, true) => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_out_of_two_bytes_is_described() {
        let out = 0x604u64 << 16 | vc::io::SZ16;
        assert_eq!(io_qualification(out), 0x604 << 16 | 1);
        let input = 0x3FDu64 << 16 | vc::io::SZ8 | vc::io::IN;
        assert_eq!(io_qualification(input), 0x3FD << 16 | io::IN);
        assert_eq!(io_qualification(0xCFCu64 << 16 | vc::io::SZ32) & 7, 3);
        assert_eq!(ept_qualification(0x1_0000_0006), 2);
    }
}
