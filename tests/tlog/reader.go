// Reads a log with a client that was not written for it: golang.org/x/mod/sumdb, with which the go
// command checks sum.golang.org. Signatures, tiles, inclusion and consistency are that client's to
// judge; what is said here is where files lie and how entries stand in them (C2SP tlog-tiles).
//
//	tlog-reader LOG VKEYS [EARLIER-CHECKPOINT...]
//
// Exit status 0 if all of it holds, 2 if not.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// The log's keys of the one type that the client knows, Ed25519.
func readVerifiers(file string) (note.Verifiers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var known []note.Verifier
	for _, line := range strings.Split(string(text), "\n") {
		if verifier, err := note.NewVerifier(line); err == nil {
			known = append(known, verifier)
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("%s: no key of a type that is known here", file)
	}
	return note.VerifierList(known...), nil
}

func openCheckpoint(file string, verifiers note.Verifiers) (tlog.Tree, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, verifiers)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %v", file, err)
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != opened.Sigs[0].Name {
		return tlog.Tree{}, fmt.Errorf("%s: of %q, signed by %q", file, origin, opened.Sigs[0].Name)
	}
	// A checkpoint is the sum database's tree note with the origin for a first line.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %v", file, err)
	}
	return tree, nil
}

// A log's directory as the client's tlog.TileReader.
type directory string

// C2SP leaves the height out, and says "entries" for the sum database's "data".
func (log directory) read(tile tlog.Tile) ([]byte, error) {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	return os.ReadFile(filepath.Join(string(log), "tile", strings.Replace(path, "data/", "entries/", 1)))
}

func (log directory) Height() int { return tileHeight }

func (log directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := log.read(tile)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (log directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (log directory) readBundle(index int64, width int) ([][]byte, error) {
	bundle, err := log.read(tlog.Tile{H: tileHeight, L: -1, N: index, W: width})
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(bundle) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		if end > len(bundle) {
			break
		}
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	if len(entries) != width || len(bundle) != 0 {
		return nil, fmt.Errorf("entry bundle %d is not %d entries", index, width)
	}
	return entries, nil
}

// Each entry against its leaf in the tiles, which the client holds against the checkpoint, and one
// entry of each bundle by an inclusion proof of the client's making.
func checkEntries(log directory, tree tlog.Tree) error {
	hashes := tlog.TileHashReader(tree, log)
	for first := int64(0); first < tree.N; first += tileWidth {
		width := tileWidth
		if tree.N-first < tileWidth {
			width = int(tree.N - first)
		}
		entries, err := log.readBundle(first/tileWidth, width)
		if err != nil {
			return err
		}
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(i)))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != leaves[i] {
				return fmt.Errorf("entry %d is not what its leaf says", first+int64(i))
			}
		}
		last := first + int64(width) - 1
		proof, err := tlog.ProveRecord(tree.N, last, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, last, tlog.RecordHash(entries[width-1])); err != nil {
			return fmt.Errorf("entry %d: %v", last, err)
		}
	}
	return nil
}

func checkGrowth(log directory, tree, earlier tlog.Tree) error {
	proof, err := tlog.ProveTree(tree.N, earlier.N, tlog.TileHashReader(tree, log))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash)
}

func run(log directory, vkeys string, earlier []string) error {
	verifiers, err := readVerifiers(vkeys)
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(filepath.Join(string(log), "checkpoint"), verifiers)
	if err != nil {
		return err
	}
	if err := checkEntries(log, tree); err != nil {
		return err
	}
	for _, file := range earlier {
		before, err := openCheckpoint(file, verifiers)
		if err != nil {
			return err
		}
		if err := checkGrowth(log, tree, before); err != nil {
			return fmt.Errorf("%s, of size %d: %v", file, before.N, err)
		}
	}
	fmt.Printf("%d entries, %d earlier checkpoints: %v\n", tree.N, len(earlier), tree.Hash)
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: tlog-reader LOG VKEYS [EARLIER-CHECKPOINT...]")
		os.Exit(2)
	}
	if err := run(directory(os.Args[1]), os.Args[2], os.Args[3:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(2)
	}
}
