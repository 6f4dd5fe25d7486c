//! Hyper-V hypercalls of the lower guest: the visibility call, evidence, and a named failure for
//! others.

use crate::context::Paravisor;
use crate::partition::Partition;
use crate::{evidence, grant, processors};
use core::ops::Range;
use tessera_defs::hyperv::synic::{
    HV_STATUS_INVALID_CONNECTION_ID, HVCALL_POST_MESSAGE, HVCALL_SIGNAL_EVENT,
};
use tessera_defs::hyperv::{
    HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_ALIGNMENT, HV_STATUS_INVALID_HYPERCALL_CODE,
    HV_STATUS_INVALID_HYPERCALL_INPUT, HV_STATUS_INVALID_PARAMETER, HV_STATUS_SUCCESS,
    HVCALL_EVIDENCE, HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY, HVCALL_NOTIFY_LONG_SPIN_WAIT,
    HVCALL_START_VP, HYPERCALL_FAST, HYPERCALL_REP_COUNT_SHIFT,
};
use tessera_defs::start_vp::StartVpInput;
use tessera_defs::x86::PAGE_SIZE;
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
    // The paravisor's controller has no ports; the host's are called by the guest itself.
    let to_ports = [HVCALL_POST_MESSAGE, HVCALL_SIGNAL_EVENT].contains(&(control as u16));
    if to_ports && paravisor.messages.is_some() {
        return status(HV_STATUS_INVALID_CONNECTION_ID);
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
    let (done, code) = visibility(paravisor, partition, request);
    status(code) | done << HYPERCALL_REP_COUNT_SHIFT
}

/// Changes pages in runs that follow each other: repetitions done, and the status. What is so already is
/// done.
fn visibility(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    request: VisibilityRequest<'_>,
) -> (u64, u16) {
    let (mut done, mut seen, mut run) = (0, 0, 0..0);
    for gpa in request.gpas() {
        let allowed = gpa.filter(|gpa| paravisor.is_guest_page(partition, *gpa));
        let Some(gpa) = allowed else {
            return match change(paravisor, partition, run, request.shared) {
                Ok(()) => (seen, HV_STATUS_INVALID_PARAMETER),
                Err(status) => (done, status),
            };
        };
        if gpa != run.end {
            if let Err(status) = change(paravisor, partition, run, request.shared) {
                return (done, status);
            }
            (done, run) = (seen, gpa..gpa);
        }
        if partition.shared.contains(gpa / PAGE_SIZE) != request.shared {
            run.end = gpa + PAGE_SIZE;
        }
        seen += 1;
    }
    match change(paravisor, partition, run, request.shared) {
        Ok(()) => (seen, HV_STATUS_SUCCESS),
        Err(status) => (done, status),
    }
}

/// A run of addresses, which may be empty.
fn change(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    run: Range<u64>,
    shared: bool,
) -> Result<(), u16> {
    match run.is_empty() {
        true => Ok(()),
        false => {
            let pages = grant::pages(run.start, run.end);
            grant::change(paravisor, partition, pages, shared)
        }
    }
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
