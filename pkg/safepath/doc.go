// Package safepath keeps the agent's own files out of the reach of other users: its lock and
// socket, its state, its caches. The agent is root, so whoever could put a symbolic link,
// a hard link or a directory of their own where it expects its files would have
// it overwrite, or believe, files of their choice.
//
// A path is safe if nobody but root and the user that the agent runs as can change where it
// leads: each directory on the way belongs to one of them and cannot be written to by
// others. Directories like /tmp are allowed, because their sticky bit lets nobody replace the
// files of somebody else. The last directory may be like that too, as the root of a tmpfs is:
// a file that somebody made there before is recognized by its owner. Symbolic links on the way
// are followed if they are root's or the agent's own, as /var/run is, and their targets are
// checked in the same way.
//
// Nothing is ever repaired: whatever is wrong may have been used already, so a person must look.
// Start reading at [MakeDir] and [OpenFile].
package safepath
