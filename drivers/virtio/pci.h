/* SPDX-License-Identifier: MIT */
#ifndef TERN_DRIVERS_VIRTIO_PCI_H
#define TERN_DRIVERS_VIRTIO_PCI_H

/* Say on the console which network devices are on the first PCI bus: they have no driver here. Context: thread. */
void pci_report_network(void);

#endif
