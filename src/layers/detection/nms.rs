//! Non-maximum suppression per class, with torchvision's arithmetic on the CPU.

use super::boxes::{Box4, area};

/// Above this many boxes torchvision works class by class; below, it moves the classes apart,
/// whose rounding is part of the result.
const APART_UP_TO: usize = 1000;

/// Indices of the boxes that stay, best first: of two of one class that overlap by more than
/// `threshold` (intersection over union), the one with the lower score goes.
pub fn batched_nms(
    boxes: &[Box4],
    scores: &[f32],
    classes: &[usize],
    threshold: f32,
) -> Vec<usize> {
    if boxes.is_empty() {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    if boxes.len() <= APART_UP_TO {
        let largest = boxes.iter().flatten().copied().fold(f32::MIN, f32::max);
        let apart = |(b, &class): (&Box4, &usize)| {
            let offset = class as f32 * (largest + 1.0);
            b.map(|v| v + offset)
        };
        let moved: Vec<Box4> = boxes.iter().zip(classes).map(apart).collect();
        return nms(&moved, &order, threshold);
    }
    let mut kept: Vec<usize> = Vec::new();
    let count = classes.iter().max().map_or(0, |&c| c + 1);
    for class in 0..count {
        let own: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&i| classes[i] == class)
            .collect();
        kept.extend(nms(boxes, &own, threshold));
    }
    kept.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    kept
}

/// Of the boxes in `order`, those that no kept one before them overlaps too much.
fn nms(boxes: &[Box4], order: &[usize], threshold: f32) -> Vec<usize> {
    let mut kept = Vec::new();
    let mut gone = vec![false; order.len()];
    for (rank, &index) in order.iter().enumerate() {
        if gone[rank] {
            continue;
        }
        kept.push(index);
        let own = area(boxes[index]);
        for (later, gone) in order.iter().zip(&mut gone).skip(rank + 1) {
            *gone = *gone || overlap(boxes[index], own, boxes[*later]) > threshold;
        }
    }
    kept
}

fn overlap(a: Box4, area_a: f32, b: Box4) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let shared = width * height;
    shared / (area_a + area(b) - shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_of_two_alike_stays_and_classes_do_not_meet() {
        let boxes = [
            [0.0, 0.0, 10.0, 10.0],
            [1.0, 0.0, 11.0, 10.0],
            [0.0, 0.0, 10.0, 10.0],
        ];
        assert_eq!(
            batched_nms(&boxes, &[0.5, 0.9, 0.7], &[0, 0, 1], 0.5),
            [1, 2]
        );
        assert_eq!(
            batched_nms(&boxes, &[0.5, 0.9, 0.7], &[0, 0, 0], 0.95),
            [1, 2]
        );
    }

    #[test]
    fn many_boxes_give_what_few_give() {
        let boxes: Vec<Box4> = (0..1500)
            .map(|i| {
                let (x, y) = ((i * 37 % 400) as f32, (i * 91 % 300) as f32);
                [x, y, x + 20.0 + (i % 7) as f32, y + 30.0]
            })
            .collect();
        let scores: Vec<f32> = (0..1500).map(|i| (i * 7919 % 1500) as f32).collect();
        let classes: Vec<usize> = (0..1500).map(|i| i % 3).collect();
        let kept = batched_nms(&boxes, &scores, &classes, 0.5);
        assert!(kept.windows(2).all(|w| scores[w[0]] >= scores[w[1]]));
        let own =
            |class: usize| -> Vec<usize> { (0..1500).filter(|&i| classes[i] == class).collect() };
        let mut few: Vec<usize> = (0..3)
            .flat_map(|class| {
                let own = own(class);
                let boxes: Vec<Box4> = own.iter().map(|&i| boxes[i]).collect();
                let scores: Vec<f32> = own.iter().map(|&i| scores[i]).collect();
                let kept = batched_nms(&boxes, &scores, &vec![0; own.len()], 0.5);
                kept.into_iter().map(move |k| own[k]).collect::<Vec<_>>()
            })
            .collect();
        few.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(kept, few);
    }
}
