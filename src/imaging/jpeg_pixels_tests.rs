//! The processor's own loops against the portable ones; `decode_tests` has libjpeg-turbo's pixels.

use super::*;

struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }

    /// Flat, smooth, busy, or what only a damaged file has.
    fn block(&mut self) -> Block {
        let (count, range) = [(1, 100), (6, 30), (64, 12), (64, 32_768)][self.below(4) as usize];
        let mut block = [0; 64];
        for _ in 0..count {
            let at = if count == 1 { 0 } else { self.below(64) };
            block[at as usize] = (self.below(2 * range) as i32 - range as i32) as i16;
        }
        block
    }
}

fn painted(layout: Layout, tables: Tables, rows: &[Vec<Vec<Block>>], kernels: Kernels) -> Vec<u8> {
    let mut painter = Painter::new(layout, tables);
    painter.kernels = kernels;
    for mcu_row in 0..layout.mcu_rows() {
        painter.paint(mcu_row, |component, n| {
            &rows[component][mcu_row * layout.block_rows(component) + n]
        });
    }
    painter.finish().unwrap()
}

#[test]
fn every_processor_paints_the_same() {
    let mut random = Random(7);
    for width in [5, 8, 16, 31, 32, 33, 63, 64, 65, 97, 129, 160] {
        for chroma in [Chroma::Full, Chroma::HalfWidth, Chroma::HalfBoth] {
            for height in [1, 8, 15, 17, 40] {
                let layout = Layout {
                    width,
                    height,
                    chroma,
                };
                let mut tables = [[0; 64]; 3];
                for scale in tables.as_flattened_mut() {
                    *scale = 1 + random.below([40, 255, 65_535][height % 3]) as u16;
                }
                let rows = [0, 1, 2].map(|component| {
                    let wide = layout.samples(component).0.div_ceil(8);
                    let high = layout.mcu_rows() * layout.block_rows(component);
                    let mut row = || (0..wide).map(|_| random.block()).collect::<Vec<_>>();
                    (0..high).map(|_| row()).collect::<Vec<_>>()
                });
                let expected = painted(layout, tables, &rows, PORTABLE);
                assert_eq!(expected.len(), width * height * 3);
                let actual = painted(layout, tables, &rows, best_kernels());
                assert!(expected == actual, "{width}x{height} {chroma:?}");
            }
        }
    }
}
