//! How the mode gets into what the hardware signs, and how evidence is asked for.

use super::traits::{Attestation, Evidence, NoEvidence};
use crate::refusal::Refusal;
use core::mem::size_of;
use tessera_defs::binding::{EvidenceHeader, RTMR, evidence};
use tessera_defs::hyperv::HVCALL_EVIDENCE;
use tessera_defs::snp::report::AttestationReport;
use tessera_defs::tdx::report::TdReport;
use tessera_protocol::binding::Binding;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::hyperv;
use tessera_protocol::message::channel::Channel;
use tessera_protocol::message::report::report;
use tessera_protocol::tdx::module;
use tessera_protocol::traits::{Hypercall, MessagePages, Tdcall, Vmgexit};
use zerocopy::{FromZeros, IntoBytes};

/// Nobody signs anything.
#[derive(Debug)]
pub struct Unattested;

impl Attestation for Unattested {
    fn bind(&mut self, _: &Binding) -> Result<(), Refusal> {
        Ok(())
    }
    fn evidence(&mut self, _: &[u8; 64], _: &mut [u8]) -> Result<Evidence, NoEvidence> {
        Err(NoEvidence::Unattested)
    }
}

/// SNP, VMPL 0: the first report carries the binding, every other one a digest over the binding
/// and the caller's data.
pub struct SnpReports<V, P> {
    /// The GHCB page.
    pub ghcb: V,
    /// The pages of messages.
    pub pages: P,
    /// The channel under VMPCK 0; none where the secrets page has no such key.
    pub channel: Option<Channel>,
    /// Set by `bind`.
    pub binding: Option<Binding>,
}

impl<V: Vmgexit, P: MessagePages> SnpReports<V, P> {
    fn report(&mut self, data: &[u8; 64]) -> Result<AttestationReport, Refusal> {
        const VMPL: u8 = 0;
        let channel = self.channel.as_mut().ok_or(Refusal::BindingFailed)?;
        report(channel, &mut self.ghcb, &mut self.pages, data, VMPL).map_err(|error| match error {
            Error::Host(HostFault::Message(_)) => Refusal::GuestMessageInvalid,
            _ => Refusal::BindingFailed,
        })
    }
}

impl<V: Vmgexit + Send, P: MessagePages + Send> Attestation for SnpReports<V, P> {
    fn bind(&mut self, binding: &Binding) -> Result<(), Refusal> {
        self.report(&binding.first())?;
        self.binding = Some(*binding);
        Ok(())
    }
    fn evidence(&mut self, data: &[u8; 64], into: &mut [u8]) -> Result<Evidence, NoEvidence> {
        let binding = self.binding.ok_or(NoEvidence::NotBound)?;
        let room = into.get_mut(..size_of::<AttestationReport>());
        let room = room.ok_or(NoEvidence::NoRoom)?;
        let report = self.report(&binding.over(data));
        let report = report.map_err(NoEvidence::Refused)?;
        room.copy_from_slice(report.as_bytes());
        Ok(Evidence {
            kind: evidence::SNP_REPORT,
            length: room.len(),
        })
    }
}

/// TDX, L1: the binding extends an RTMR, which every TDREPORT shows; REPORTDATA is the caller's.
#[derive(Debug)]
pub struct TdxReports<T, P> {
    /// TDCALL.
    pub call: T,
    /// Private memory: the module reads at the first address, and writes 1,024 bytes behind the
    /// second one.
    pub pages: P,
    /// `bind` was called.
    pub bound: bool,
}

/// Where in its page a TDREPORT stands.
const REPORT_OFFSET: usize = 1024;

impl<T: Tdcall + Send, P: MessagePages + Send> Attestation for TdxReports<T, P> {
    fn bind(&mut self, binding: &Binding) -> Result<(), Refusal> {
        self.pages.put(binding.digest(), &[]);
        let [from, _] = self.pages.addresses();
        module::rtmr_extend(&mut self.call, from, RTMR).map_err(|_| Refusal::BindingFailed)?;
        self.bound = true;
        Ok(())
    }
    fn evidence(&mut self, data: &[u8; 64], into: &mut [u8]) -> Result<Evidence, NoEvidence> {
        if !self.bound {
            return Err(NoEvidence::NotBound);
        }
        let room = into.get_mut(..size_of::<TdReport>());
        let room = room.ok_or(NoEvidence::NoRoom)?;
        self.pages.put(data, &[]);
        let [from, to] = self.pages.addresses();
        module::report(&mut self.call, to + REPORT_OFFSET as u64, from)
            .map_err(|_| NoEvidence::Refused(Refusal::BindingFailed))?;
        self.pages.take(REPORT_OFFSET, room);
        Ok(Evidence {
            kind: evidence::TD_REPORT,
            length: room.len(),
        })
    }
}

/// Evidence in the paravisor's page at most.
const MAX_EVIDENCE: usize = 4096 - size_of::<EvidenceHeader>();

/// Below our paravisor, which bound the mode before this guest ran: evidence by its service.
#[derive(Debug)]
pub struct ParavisorReports<H, P> {
    /// The hypercall instruction.
    pub call: H,
    /// Private memory for data and evidence.
    pub pages: P,
}

impl<H: Hypercall + Send, P: MessagePages + Send> Attestation for ParavisorReports<H, P> {
    fn bind(&mut self, _: &Binding) -> Result<(), Refusal> {
        Ok(())
    }
    fn evidence(&mut self, data: &[u8; 64], into: &mut [u8]) -> Result<Evidence, NoEvidence> {
        let refused = NoEvidence::Refused(Refusal::BindingFailed);
        self.pages.put(data, &[]);
        let [from, to] = self.pages.addresses();
        let control = hyperv::control(HVCALL_EVIDENCE, 0);
        let result = self.call.hypercall(control, from, to);
        hyperv::check(control, result).map_err(|_| refused)?;
        let mut header = EvidenceHeader::new_zeroed();
        self.pages.take(0, header.as_mut_bytes());
        let length = header.length as usize;
        if length > MAX_EVIDENCE {
            return Err(refused);
        }
        let room = into.get_mut(..length).ok_or(NoEvidence::NoRoom)?;
        self.pages.take(size_of::<EvidenceHeader>(), room);
        Ok(Evidence {
            kind: header.kind,
            length,
        })
    }
}
