//! The keypoint sets' tables against each other.

use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_unique_and_as_many_as_the_name_says() {
    for (set, count) in KeypointSet::ALL.into_iter().zip([33, 17, 25, 24, 45, 44]) {
        let unique: BTreeSet<_> = set.names().iter().collect();
        assert_eq!(
            (set.names().len(), unique.len()),
            (count, count),
            "{}",
            set.as_str()
        );
        assert!(set.as_str().ends_with(&count.to_string()));
        assert_eq!(KeypointSet::parse(set.as_str()), Some(set));
    }
    assert_eq!(KeypointSet::parse("COCO17"), None);
    assert_eq!(KeypointSet::parse(""), None);
}

#[test]
fn coco_comes_from_blazepose_points_of_the_same_name() {
    for (i, &from) in COCO17_FROM_BLAZEPOSE33.iter().enumerate() {
        assert_eq!(COCO17[i], BLAZEPOSE33[from]);
    }
}

#[test]
fn body_joints_carry_cocos_sigmas() {
    for (index, sigma) in BLAZEPOSE33_BODY {
        let coco = COCO17.iter().position(|n| *n == BLAZEPOSE33[index]);
        assert_eq!(coco.map(|c| COCO17_SIGMAS[c]), Some(sigma));
    }
}

#[test]
fn every_side_has_its_mirror() {
    for (set, pairs) in KeypointSet::ALL.into_iter().zip([16, 8, 11, 9, 19, 17]) {
        let found = set.left_right_pairs();
        assert_eq!(found.len(), pairs, "{}", set.as_str());
        for (left, right) in found {
            assert_eq!(set.side(left), Side::Left);
            assert_eq!(set.side(right), Side::Right);
        }
        let sided = (0..set.names().len()).filter(|&i| set.side(i) != Side::Middle);
        assert_eq!(sided.count(), 2 * pairs);
    }
    assert_eq!(KeypointSet::Coco17.side(99), Side::Middle);
}

#[test]
fn edges_join_existing_points_once_and_mirror_each_other() {
    for set in KeypointSet::ALL {
        let pairs = set.left_right_pairs();
        let mirror = |i: usize| {
            pairs
                .iter()
                .find_map(|&(l, r)| match i {
                    _ if i == l => Some(r),
                    _ if i == r => Some(l),
                    _ => None,
                })
                .unwrap_or(i)
        };
        let ordered = |(a, b): (usize, usize)| (a.min(b), a.max(b));
        let edges: BTreeSet<_> = set.edges().iter().map(|&e| ordered(e)).collect();
        assert_eq!(edges.len(), set.edges().len(), "{}", set.as_str());
        for &(a, b) in &edges {
            assert!(b < set.names().len());
            assert!(
                edges.contains(&ordered((mirror(a), mirror(b)))),
                "{} {a}-{b}",
                set.as_str()
            );
        }
    }
}

#[test]
fn sets_that_would_be_invented_are_refused() {
    for set in KeypointSet::ALL {
        assert_eq!(
            measured_by_blazepose(set),
            map_from_blazepose(set).is_some()
        );
    }
    assert!(!measured_by_blazepose(KeypointSet::Smpl24));
    assert!(!measured_by_blazepose(KeypointSet::Openpose25));
    assert!(measured_by_blazepose(KeypointSet::Coco17));
}
