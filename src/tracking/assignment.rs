//! The cheapest pairing of rows and columns where leaving somebody out has a price.

/// Pairs rows with columns so that the sum of the costs of all pairs, plus `unmatched` for every
/// row left out, is smallest. Answers for each row its column.
///
/// `costs` is `[rows, columns]`, row-major. A cost that is not finite forbids the pair; so does one
/// of `unmatched` or more, since leaving the row out is then no dearer. Ties go the same way every
/// time. A matrix of another length than `rows * columns`, or an `unmatched` that is not finite,
/// pairs nobody.
///
/// Shortest augmenting paths with dual prices (Jonker and Volgenant's form of the Hungarian
/// method), O(rows² (rows + columns)). Every row has a private way out at the price `unmatched`,
/// so a path always exists.
pub fn assign(costs: &[f64], rows: usize, columns: usize, unmatched: f64) -> Vec<Option<usize>> {
    if rows.checked_mul(columns) != Some(costs.len()) || !unmatched.is_finite() {
        return vec![None; rows];
    }
    let mut search = Search::new(costs, rows, columns, unmatched);
    for row in 0..rows {
        search.augment(row);
    }
    let mut answer = vec![None; rows];
    for (column, owner) in search.owner.iter().take(columns).enumerate() {
        if let Some(row) = owner {
            answer[*row] = Some(column);
        }
    }
    answer
}

/// Columns `columns..columns + rows` are the ways out: column `columns + r` serves row `r` alone.
struct Search<'a> {
    costs: &'a [f64],
    columns: usize,
    unmatched: f64,
    row_price: Vec<f64>,
    column_price: Vec<f64>,
    /// The row each column is given to.
    owner: Vec<Option<usize>>,
}

impl<'a> Search<'a> {
    fn new(costs: &'a [f64], rows: usize, columns: usize, unmatched: f64) -> Self {
        Self {
            costs,
            columns,
            unmatched,
            row_price: vec![0.0; rows],
            column_price: vec![0.0; columns + rows],
            owner: vec![None; columns + rows],
        }
    }

    fn cost(&self, row: usize, column: usize) -> f64 {
        if column >= self.columns {
            return if column - self.columns == row {
                self.unmatched
            } else {
                f64::INFINITY
            };
        }
        let cost = self.costs[row * self.columns + column];
        // NaN compares false and is forbidden with the rest.
        if cost.is_finite() && cost < self.unmatched {
            cost
        } else {
            f64::INFINITY
        }
    }

    /// Gives `start` a column, moving rows seated before along the cheapest path.
    fn augment(&mut self, start: usize) {
        let width = self.owner.len();
        let mut distance = vec![f64::INFINITY; width];
        let mut previous: Vec<Option<usize>> = vec![None; width];
        let mut settled = vec![false; width];
        let mut row = start;
        let mut via = None;
        let mut travelled = 0.0;

        let free = loop {
            for column in (0..width).filter(|&c| !settled[c]) {
                let reduced =
                    self.cost(row, column) - self.row_price[row] - self.column_price[column];
                if travelled + reduced < distance[column] {
                    distance[column] = travelled + reduced;
                    previous[column] = via;
                }
            }
            let open = (0..width).filter(|&c| !settled[c] && distance[c] < f64::INFINITY);
            let Some(nearest) = open.min_by(|&a, &b| distance[a].total_cmp(&distance[b])) else {
                return; // Cannot be: the row's own way out is always open.
            };
            travelled = distance[nearest];
            settled[nearest] = true;
            match self.owner[nearest] {
                None => break nearest,
                Some(seated) => {
                    row = seated;
                    via = Some(nearest);
                }
            }
        };

        self.reprice(start, travelled, &distance, &settled);
        let mut column = free;
        while let Some(before) = previous[column] {
            self.owner[column] = self.owner[before];
            column = before;
        }
        self.owner[column] = Some(start);
    }

    /// Keeps every reduced cost non-negative and those on the path zero.
    fn reprice(&mut self, start: usize, travelled: f64, distance: &[f64], settled: &[bool]) {
        self.row_price[start] += travelled;
        for column in (0..settled.len()).filter(|&c| settled[c]) {
            let slack = travelled - distance[column];
            self.column_price[column] -= slack;
            if let Some(row) = self.owner[column] {
                self.row_price[row] += slack;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }
    }

    fn price(costs: &[f64], columns: usize, unmatched: f64, pairs: &[Option<usize>]) -> f64 {
        let each = pairs.iter().enumerate();
        each.map(|(row, pair)| pair.map_or(unmatched, |c| costs[row * columns + c]))
            .sum()
    }

    /// Tries every pairing there is.
    fn cheapest(costs: &[f64], rows: usize, columns: usize, unmatched: f64, taken: u32) -> f64 {
        let Some(row) = rows.checked_sub(1) else {
            return 0.0;
        };
        let left_out = unmatched + cheapest(costs, row, columns, unmatched, taken);
        (0..columns)
            .filter(|c| taken & (1 << c) == 0 && costs[row * columns + c].is_finite())
            .map(|c| {
                costs[row * columns + c] + cheapest(costs, row, columns, unmatched, taken | 1 << c)
            })
            .fold(left_out, f64::min)
    }

    #[test]
    fn is_as_cheap_as_the_cheapest_of_all_pairings() {
        let mut dice = Dice(7);
        for _ in 0..3000 {
            let (rows, columns) = (dice.roll(6) as usize, dice.roll(6) as usize);
            let costs: Vec<f64> = (0..rows * columns)
                .map(|_| match dice.roll(10) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::NEG_INFINITY,
                    3 | 4 => dice.roll(4) as f64, // ties
                    _ => dice.roll(1000) as f64 / 100.0 - 2.0,
                })
                .collect();
            let unmatched = dice.roll(80) as f64 / 10.0;
            let pairs = assign(&costs, rows, columns, unmatched);

            assert_eq!(pairs.len(), rows);
            let mut used = [false; 6];
            for (row, column) in pairs
                .iter()
                .enumerate()
                .filter_map(|(r, p)| Some((r, (*p)?)))
            {
                assert!(
                    !std::mem::replace(&mut used[column], true),
                    "one column, two rows"
                );
                let cost = costs[row * columns + column];
                assert!(
                    cost.is_finite() && cost < unmatched,
                    "forbidden pair {cost}"
                );
            }
            let got = price(&costs, columns, unmatched, &pairs);
            let best = cheapest(&costs, rows, columns, unmatched, 0);
            assert!(
                (got - best).abs() < 1e-9,
                "{got} {best} {costs:?} {unmatched}"
            );
        }
    }

    #[test]
    fn a_good_pair_is_not_broken_to_seat_one_more() {
        // Row 1 can only have column 0; taking it would push row 0 to a pair near the gate.
        let costs = [0.1, 0.9, 0.95, f64::INFINITY];
        assert_eq!(assign(&costs, 2, 2, 1.0), [Some(0), None]);
    }

    #[test]
    fn ties_go_the_same_way_every_time() {
        let costs = [0.5; 9];
        let first = assign(&costs, 3, 3, 1.0);
        assert_eq!(first.iter().flatten().count(), 3);
        assert!((0..10).all(|_| assign(&costs, 3, 3, 1.0) == first));
    }

    #[test]
    fn nothing_to_pair_pairs_nobody() {
        assert_eq!(assign(&[], 0, 5, 1.0), []);
        assert_eq!(assign(&[], 3, 0, 1.0), [None; 3]);
        assert_eq!(assign(&[1.0; 5], 2, 3, 9.0), [None; 2]);
        assert_eq!(assign(&[1.0], 1, 1, f64::NAN), [None]);
        assert_eq!(assign(&[1.0], 1, 1, 1.0), [None]);
    }
}
