package blockcopy

// Claim opens a block device for this process alone until release is called: what is
// mounted or claimed by anything else is refused, with an [*Error] that is EBUSY, and
// nothing can mount or claim it meanwhile. Whoever only opens it, as a reader of data
// does, is not kept from it.
//
// What others wrote by the page cache has reached the device when it returns.
//
// It has to be the logical volume with a UUID, unless that is empty.
func Claim(path, uuid string) (release func(), err error) {
	d, err := openDevice(path, uuid, holding)
	if err != nil {
		return nil, err
	}
	if err := d.flush(); err != nil {
		d.close()
		return nil, err
	}
	return d.close, nil
}
