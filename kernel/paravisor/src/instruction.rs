//! The lower guest's instruction that met device memory: read and decoded through the guest's own
//! page tables. The address is the instruction's, so that nobody else's word is needed for it.

use crate::context::Paravisor;
use crate::lower::GuestRegisters;
use crate::partition::Partition;
use tessera_defs::x86::PAGE_SIZE;
use tessera_objects::walk;
use tessera_protocol::exception::event::NotServed;
use tessera_protocol::insn::{self, Instruction, MAX_LENGTH, Refused};

/// Decodes what stands at RIP; with the guest-physical address that it names. Errors: the
/// instruction is none for device memory, or not readable.
pub fn decode(
    paravisor: &mut Paravisor<'_>,
    registers: &GuestRegisters,
) -> Result<(Instruction, u64), NotServed> {
    let partition = &mut *paravisor.partition.lock();
    let cr3 = paravisor.lower.tables();
    let mut bytes = [0; MAX_LENGTH];
    let mut count = 0;
    while count < MAX_LENGTH {
        let at = registers.rip.wrapping_add(count as u64);
        let found = translate(paravisor, partition, cr3, at);
        let Some(gpa) = found.filter(|gpa| paravisor.is_guest_ram(partition, *gpa)) else {
            break;
        };
        let in_page = (PAGE_SIZE - gpa % PAGE_SIZE) as usize;
        for n in 0..in_page.min(MAX_LENGTH - count) {
            bytes[count] = partition.memory.read(gpa + n as u64);
            count += 1;
        }
    }
    let bytes = &bytes[..count];
    let instruction = insn::decode(bytes)?;
    let address = insn::address(bytes, registers)?;
    let gpa = translate(paravisor, partition, cr3, address);
    gpa.map(|gpa| (instruction, gpa))
        .ok_or(Refused::NoMemory.into())
}

/// Tables stand in the guest's private memory.
fn translate(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    cr3: u64,
    virt: u64,
) -> Option<u64> {
    walk::translate(cr3, virt, |at| {
        let guests = paravisor.is_guest_ram(partition, at);
        guests.then(|| partition.memory.read(at))
    })
}
