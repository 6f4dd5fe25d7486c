//! HvCallStartVirtualProcessor: its input, and the registers in it. Source: TLFS 6.0b, 7.8.3.

use crate::svm::vcpu::{Vcpu, reg};
use tessera_defs::{
    hyperv as hv,
    snp::vmsa::Segment,
    start_vp::{InitialVpContext, SegmentRegister, StartVpInput, TableRegister},
    x86::efer,
};
use zerocopy::FromBytes;

/// Decodes the input page. Errors: the status.
pub fn decode(input: &[u8]) -> Result<StartVpInput, u16> {
    let (start, _) =
        StartVpInput::read_from_prefix(input).map_err(|_| hv::HV_STATUS_INVALID_PARAMETER)?;
    if start.partition != hv::PARTITION_SELF {
        return Err(hv::HV_STATUS_INVALID_PARTITION_ID);
    }
    match (start.target_vtl, start.reserved) {
        (0, [0, 0, 0]) => Ok(start),
        (0, _) => Err(hv::HV_STATUS_INVALID_PARAMETER),
        _ => Err(hv::HV_STATUS_INVALID_VTL_STATE),
    }
}

/// Sets every register that the context has; SVM demands EFER.SVME.
pub fn load(vcpu: &mut Vcpu, context: &InitialVpContext) {
    let save = &mut vcpu.vmcb.save;
    [
        save.cs, save.ds, save.es, save.fs, save.gs, save.ss, save.tr, save.ldtr,
    ] = [
        context.cs,
        context.ds,
        context.es,
        context.fs,
        context.gs,
        context.ss,
        context.tr,
        context.ldtr,
    ]
    .map(segment);
    [save.idtr, save.gdtr] = [context.idtr, context.gdtr].map(table);
    (save.rip, save.rflags) = (context.rip, context.rflags | 2);
    (save.efer, save.g_pat) = (context.efer | efer::SVME, context.pat);
    (save.cr0, save.cr3, save.cr4) = (context.cr0, context.cr3, context.cr4);
    vcpu.regs[reg::RSP] = context.rsp;
}

fn segment(register: SegmentRegister) -> Segment {
    let attributes = register.attributes;
    Segment {
        selector: register.selector,
        attrib: attributes & 0xFF | attributes >> 4 & 0xF00,
        limit: register.limit,
        base: register.base,
    }
}

fn table(register: TableRegister) -> Segment {
    Segment {
        limit: register.limit.into(),
        base: register.base,
        ..Segment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::bitmaps::Bitmaps;
    use std::boxed::Box;
    use zerocopy::IntoBytes;

    fn input() -> StartVpInput {
        StartVpInput {
            partition: hv::PARTITION_SELF,
            vp_index: 3,
            target_vtl: 0,
            reserved: [0; 3],
            context: InitialVpContext::default(),
        }
    }

    #[test]
    fn another_partition_or_vtl_is_refused() {
        let of = |input: StartVpInput| decode(input.as_bytes());
        assert_eq!(of(input()), Ok(input()));
        let other = StartVpInput {
            partition: 1,
            ..input()
        };
        assert_eq!(of(other), Err(hv::HV_STATUS_INVALID_PARTITION_ID));
        let vtl = StartVpInput {
            target_vtl: 2,
            ..input()
        };
        assert_eq!(of(vtl), Err(hv::HV_STATUS_INVALID_VTL_STATE));
        let short = &input().as_bytes()[..100].to_vec();
        assert_eq!(decode(short), Err(hv::HV_STATUS_INVALID_PARAMETER));
    }

    #[test]
    fn registers_go_where_svm_has_them() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let mut context = InitialVpContext {
            rsp: 7,
            efer: 0x500,
            ..InitialVpContext::default()
        };
        (context.cs.selector, context.cs.attributes) = (8, 0xA09B);
        (context.gdtr.limit, context.gdtr.base) = (0x17, 0x50);
        load(&mut vcpu, &context);
        let save = &vcpu.vmcb.save;
        assert_eq!((save.cs.selector, save.cs.attrib), (8, 0xA9B));
        assert_eq!((save.gdtr.limit, save.gdtr.base), (0x17, 0x50));
        assert_eq!((save.efer, vcpu.regs[reg::RSP]), (0x1500, 7));
    }
}
