//! Symbols from a sender that is authenticated and means harm: no panic, no growth beyond the limits, and an object
//! that comes out has the length that was announced.
#![no_main]

use codec_fountain::{Reassembler, ReassemblyLimits};
use core_types::{ObjectSeq, SymbolId, SymbolSize};
use libfuzzer_sys::fuzz_target;

const SYMBOL: usize = 64;
const LIMITS: ReassemblyLimits = ReassemblyLimits { open_objects: 5, bytes: 140_000 };

fuzz_target!(|data: &[u8]| {
    let size = SymbolSize::new(SYMBOL as u32).expect("64 is a symbol size");
    let mut reassembler = Reassembler::new(size, LIMITS).expect("the limits hold an object");
    let (steps, _) = data.as_chunks::<8>();
    for &[control, seq, len_high, len_low, id_high, id_middle, id_low, fill] in steps {
        let object = ObjectSeq(u64::from(seq));
        if control & 0x0f == 0x0f {
            reassembler.give_up_before(object);
            continue;
        }
        let len = usize::from(u16::from_be_bytes([len_high, len_low])) << (control & 1);
        let id =
            SymbolId::new(u32::from_be_bytes([0, id_high, id_middle, id_low])).expect("24 bits are an id");
        let symbol_len = if control & 0xf0 == 0xf0 { usize::from(fill) } else { SYMBOL };
        match reassembler.push(object, len, id, &vec![fill; symbol_len]) {
            Ok(Some(decoded)) => assert_eq!(decoded.len(), len),
            Ok(None) => {}
            Err(error) => assert!(error.is_peer_fault(), "{error}"),
        }
        assert!(reassembler.open_objects().count() <= LIMITS.open_objects);
        assert!(reassembler.held_bytes() <= LIMITS.bytes);
    }
});
