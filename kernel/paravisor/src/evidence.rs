//! The evidence service: a report by VMPL 0 or L1 over 64 bytes of the guest's.

use crate::context::Paravisor;
use crate::partition::Partition;
use tessera_defs::binding::EvidenceHeader;
use tessera_defs::hyperv::{
    HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_ALIGNMENT, HV_STATUS_INVALID_HYPERCALL_INPUT,
    HV_STATUS_INVALID_PARAMETER, HV_STATUS_SUCCESS, HVCALL_EVIDENCE,
};
use tessera_protocol::hyperv;

/// Bytes of evidence at most: the largest is an SNP report.
const ROOM: usize = 2048;

/// Serves the call: a hypercall status.
pub fn serve(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    control: u64,
    input: u64,
    output: u64,
) -> u16 {
    if control != hyperv::control(HVCALL_EVIDENCE, 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if !input.is_multiple_of(4096) || !output.is_multiple_of(4096) {
        return HV_STATUS_INVALID_ALIGNMENT;
    }
    if [input, output]
        .into_iter()
        .any(|gpa| !paravisor.is_guest_ram(partition, gpa))
    {
        return HV_STATUS_INVALID_PARAMETER;
    }
    let data: [u8; 64] = partition.memory.read(input);
    let mut bytes = [0; ROOM];
    let Ok(made) = partition.attestation.evidence(&data, &mut bytes) else {
        return HV_STATUS_ACCESS_DENIED;
    };
    let header = EvidenceHeader {
        kind: made.kind,
        length: made.length as u32,
        reserved: 0,
    };
    let behind = output + size_of::<EvidenceHeader>() as u64;
    partition.memory.write(output, &header);
    partition.memory.write(behind, &bytes[..made.length]);
    HV_STATUS_SUCCESS
}
