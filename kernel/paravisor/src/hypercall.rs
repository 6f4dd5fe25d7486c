//! Hyper-V hypercalls of the lower guest: the visibility call, evidence, and a named failure for
//! others.

use crate::context::Paravisor;
use crate::partition::Partition;
use crate::{evidence, grant, processors};
use tessera_defs::hyperv::{
    HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_ALIGNMENT, HV_STATUS_INVALID_HYPERCALL_CODE,
    HV_STATUS_INVALID_HYPERCALL_INPUT, HV_STATUS_INVALID_PARAMETER, HV_STATUS_SUCCESS,
    HVCALL_EVIDENCE, HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY, HVCALL_NOTIFY_LONG_SPIN_WAIT,
    HVCALL_START_VP, HYPERCALL_FAST, HYPERCALL_REP_COUNT_SHIFT,
};
use tessera_defs::start_vp::StartVpInput;
use tessera_protocol::hyperv::VisibilityRequest;
use tessera_protocol::start_vp;

/// The result value: status, and repetitions done.
pub fn serve(paravisor: &mut Paravisor<'_>, control: u64, input: u64, output: u64) -> u64 {
    let status = |code: u16| u64::from(code);
    let partition = &mut *paravisor.partition.lock();
    if partition.guest_os_id == 0 {
        return status(HV_STATUS_ACCESS_DENIED);
    }
    if control as u16 == HVCALL_EVIDENCE {
        return status(evidence::serve(
            paravisor, partition, control, input, output,
        ));
    }
    if control as u16 == HVCALL_START_VP {
        return status(start(paravisor, partition, control, input));
    }
    // A hint to yield: there is nobody to yield to. Eight bytes of input, in memory or not.
    if control & !HYPERCALL_FAST == HVCALL_NOTIFY_LONG_SPIN_WAIT.into() {
        return status(HV_STATUS_SUCCESS);
    }
    if control as u16 != HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY {
        return status(HV_STATUS_INVALID_HYPERCALL_CODE);
    }
    if !input.is_multiple_of(4096) {
        return status(HV_STATUS_INVALID_ALIGNMENT);
    }
    if !paravisor.is_guest_ram(partition, input) {
        return status(HV_STATUS_INVALID_PARAMETER);
    }
    let page: [u8; 4096] = partition.memory.read(input);
    let Ok(request) = VisibilityRequest::parse(control, &page) else {
        return status(HV_STATUS_INVALID_HYPERCALL_INPUT);
    };
    let mut done = 0u64;
    for gpa in request.gpas() {
        let allowed = gpa.filter(|gpa| paravisor.is_guest_page(partition, *gpa));
        let Some(gpa) = allowed else {
            return status(HV_STATUS_INVALID_PARAMETER) | done << HYPERCALL_REP_COUNT_SHIFT;
        };
        if let Err(refused) = grant::change(paravisor, partition, gpa, request.shared) {
            return status(refused) | done << HYPERCALL_REP_COUNT_SHIFT;
        }
        done += 1;
    }
    done << HYPERCALL_REP_COUNT_SHIFT
}

/// Bytes of the start call's input.
const START: u64 = size_of::<StartVpInput>() as u64;

/// The start call: its status. The input may not cross a page (TLFS 3.9).
fn start(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    control: u64,
    input: u64,
) -> u16 {
    if !input.is_multiple_of(8) || input % 4096 + START > 4096 {
        return HV_STATUS_INVALID_ALIGNMENT;
    }
    if !paravisor.is_guest_ram(partition, input) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    let request: StartVpInput = partition.memory.read(input);
    match start_vp::parse(control, &request, partition.processors) {
        Ok((index, context)) => processors::start_call(paravisor, partition, index, context),
        Err(status) => status,
    }
}
