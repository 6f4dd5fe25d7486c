//! A 16550A at COM1. Source: National Semiconductor PC16550D datasheet, section 8.

use alloc::collections::VecDeque;

/// Bytes that wait to be read, at most.
const WAITING: usize = 256;

const IER_RECEIVED: u8 = 1 << 0;
const IER_EMPTY: u8 = 1 << 1;
const LCR_DLAB: u8 = 1 << 7;
const MCR_OUT2: u8 = 1 << 3;
const MCR_LOOP: u8 = 1 << 4;
/// Line status: transmitter and holding register empty.
const LSR_EMPTY: u8 = 0x60;
const IIR_NONE: u8 = 1;
const IIR_EMPTY: u8 = 2;
const IIR_RECEIVED: u8 = 4;

/// The registers.
#[derive(Clone, Debug, Default)]
pub struct Uart {
    interrupts: u8,
    line: u8,
    modem: u8,
    scratch: u8,
    fifo: u8,
    divisor: [u8; 2],
    /// The holding register became empty, and IIR was not read since.
    emptied: bool,
    received: VecDeque<u8>,
}

impl Uart {
    /// Reads register `at` (0..=7).
    pub fn read(&mut self, at: u16) -> u8 {
        let divisor = self.line & LCR_DLAB != 0;
        match at {
            0 | 1 if divisor => self.divisor[usize::from(at)],
            0 => self.received.pop_front().unwrap_or(0),
            1 => self.interrupts,
            2 => {
                let cause = self.cause();
                self.emptied &= cause != IIR_EMPTY;
                cause | if self.fifo & 1 != 0 { 0xC0 } else { 0 }
            }
            3 => self.line,
            4 => self.modem,
            5 => LSR_EMPTY | u8::from(!self.received.is_empty()),
            6 => self.modem_status(),
            _ => self.scratch,
        }
    }

    /// Writes register `at`; a byte that goes out on the line.
    pub fn write(&mut self, at: u16, value: u8) -> Option<u8> {
        let divisor = self.line & LCR_DLAB != 0;
        match at {
            0 | 1 if divisor => self.divisor[usize::from(at)] = value,
            0 => {
                self.emptied = true;
                if self.modem & MCR_LOOP == 0 {
                    return Some(value);
                }
                self.receive(value);
            }
            1 => {
                self.emptied |= value & !self.interrupts & IER_EMPTY != 0;
                self.interrupts = value & 0xF;
            }
            2 => {
                self.fifo = value;
                if value & 2 != 0 {
                    self.received.clear();
                }
            }
            3 => self.line = value,
            4 => self.modem = value & 0x1F,
            7 => self.scratch = value,
            _ => {}
        }
        None
    }

    /// A byte comes in on the line; lost where too many wait.
    pub fn receive(&mut self, byte: u8) {
        if self.received.len() < WAITING {
            self.received.push_back(byte);
        }
    }

    /// Whether a byte that comes is kept.
    pub fn has_room(&self) -> bool {
        self.received.len() < WAITING
    }

    /// Level of the interrupt line.
    pub fn interrupt(&self) -> bool {
        self.cause() != IIR_NONE && self.modem & (MCR_OUT2 | MCR_LOOP) == MCR_OUT2
    }

    fn cause(&self) -> u8 {
        if self.interrupts & IER_RECEIVED != 0 && !self.received.is_empty() {
            return IIR_RECEIVED;
        }
        match self.interrupts & IER_EMPTY != 0 && self.emptied {
            true => IIR_EMPTY,
            false => IIR_NONE,
        }
    }

    /// Carrier, DSR and CTS are there; in a loop the outputs come back (8.6.7).
    fn modem_status(&self) -> u8 {
        if self.modem & MCR_LOOP == 0 {
            return 0xB0;
        }
        let [dtr, rts, out1, out2] = [0, 1, 2, 3].map(|bit| self.modem >> bit & 1);
        rts << 4 | dtr << 5 | out1 << 6 | out2 << 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_finds_a_16550a() {
        let mut uart = Uart::default();
        uart.write(2, 1);
        assert_eq!(uart.read(2), 0xC1);
        uart.write(4, MCR_LOOP | 0xA);
        assert_eq!(uart.read(6), 0x90);
        assert_eq!(uart.write(0, b'x'), None);
        assert_eq!(
            (uart.read(5), uart.read(0), uart.read(5)),
            (0x61, b'x', 0x60)
        );
    }

    #[test]
    fn a_received_byte_asks_until_it_is_read() {
        let mut uart = Uart::default();
        uart.write(4, MCR_OUT2);
        uart.write(1, IER_RECEIVED);
        (0..WAITING).for_each(|_| uart.receive(b'z'));
        assert!(uart.interrupt() && !uart.has_room());
        assert_eq!((uart.read(2), uart.read(0)), (IIR_RECEIVED, b'z'));
        assert!(uart.interrupt() && uart.has_room());
        (1..WAITING).for_each(|_| _ = uart.read(0));
        assert!(!uart.interrupt());
    }

    #[test]
    fn the_empty_interrupt_comes_with_its_enable_and_goes_with_iir() {
        let mut uart = Uart::default();
        uart.write(4, MCR_OUT2);
        assert!(!uart.interrupt());
        uart.write(1, IER_EMPTY);
        assert!(uart.interrupt());
        assert_eq!((uart.read(2), uart.read(2)), (IIR_EMPTY, IIR_NONE));
        assert_eq!(uart.write(0, b'y'), Some(b'y'));
        assert!(uart.interrupt());
        uart.write(4, 0);
        assert!(!uart.interrupt(), "OUT2 opens the way to the line");
    }
}
