// Package metrics answers Prometheus: from the last report of the agent, from the numbers of its steps and passes, and from
// /proc/diskstats.
//
// A scrape starts no process, takes no lock of LVM, and does not make the agent read the machine again.
// Where nothing announces a change, a value is therefore as old as the last audit.
//
// Start reading at [Metrics], the list of all metrics, and [Collector], which fills them. Labels hold names
// of objects and fixed words, never UUIDs, paths or messages, and a volume has at most [MaxPerVolume] series.
package metrics
