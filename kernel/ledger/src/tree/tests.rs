use super::*;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_le_bytes())).collect()
}

/// The definition of RFC 6962, 2.1, word for word.
fn by_definition(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        many => {
            let mut k = 1;
            while k * 2 < many.len() {
                k *= 2;
            }
            node_hash(&by_definition(&many[..k]), &by_definition(&many[k..]))
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

#[test]
fn known_answers_of_certificate_transparency() {
    // The leaves and roots that implementations of RFC 6962 share.
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    assert_eq!(
        empty_root().to_vec(),
        hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    let mut edge = Edge::default();
    for (input, root) in inputs.iter().zip(roots) {
        edge.push(leaf_hash(&hex(input)));
        assert_eq!(edge.root().to_vec(), hex(root));
    }
}

#[test]
fn roots_of_every_size_are_those_of_the_definition() {
    let all = leaves(700);
    let mut edge = Edge::default();
    for size in 0..=all.len() {
        assert_eq!(edge.size(), size as u64);
        if size < 70 || size % 61 == 0 || size.is_power_of_two() {
            assert_eq!(edge.root(), by_definition(&all[..size]), "{size}");
        }
        let levels = (0..TILE_LEVELS)
            .map(|level| {
                edge.partial().into_iter().find(|t| t.level as usize == level).map_or(vec![], |t| t.hashes)
            })
            .collect();
        let again = Edge::of(size as u64, levels).expect("its own tiles fit");
        assert_eq!(again.root(), edge.root());
        if let Some(next) = all.get(size) {
            let full = edge.push(*next);
            assert_eq!(full.len(), usize::from((size + 1) % TILE_WIDTH == 0));
        }
    }
    assert_eq!(Edge::of(3, vec![leaves(2)]), None);
}

#[test]
fn proofs_hold_and_no_other_does() {
    let all = leaves(70);
    for size in 1..=all.len() as u64 {
        let root = by_definition(&all[..size as usize]);
        let of = |stretches: Vec<Stretch>| -> Vec<Hash> {
            let hash = |s: Stretch| by_definition(&all[s.start as usize..s.end as usize]);
            stretches.into_iter().map(hash).collect()
        };
        for index in 0..size {
            let leaf = all[index as usize];
            let proof = of(inclusion(index, size));
            assert!(is_included(&leaf, index, size, &proof, &root), "{index} in {size}");
            assert!(size == 1 || !is_included(&leaf, (index + 1) % size, size, &proof, &root));
            assert!(!is_included(&leaf_hash(b"another"), index, size, &proof, &root));
            for at in 0..proof.len() {
                let mut bad = proof.clone();
                bad[at][0] ^= 1;
                assert!(!is_included(&leaf, index, size, &bad, &root));
            }
        }
        for small in 1..=size {
            let small_root = by_definition(&all[..small as usize]);
            let proof = of(consistency(small, size));
            assert!(is_consistent(small, &small_root, size, &root, &proof), "{small} in {size}");
            let other = leaf_hash(b"another");
            assert!(!is_consistent(small, &other, size, &root, &proof), "{small} in {size}");
            assert!(!is_consistent(small, &small_root, size, &other, &proof), "{small} in {size}");
        }
    }
}

#[test]
fn a_stretch_is_made_of_perfect_subtrees() {
    for (start, end) in [(0, 1), (0, 7), (4, 7), (256, 300), (512, 1024), (6, 8), (0, 65_536 + 3)] {
        let parts = subtrees(&(start..end));
        let mut at = start;
        for (first, height) in parts {
            assert_eq!(first, at);
            assert_eq!(first % (1 << height), 0);
            at += 1 << height;
        }
        assert_eq!(at, end);
    }
}
