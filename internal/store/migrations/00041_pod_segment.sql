-- Segments on which a pod has networks of its own: the region's new networks get others.
CREATE TABLE pod_segments (
    pod              TEXT NOT NULL REFERENCES pods (name) ON DELETE CASCADE,
    physical_network TEXT NOT NULL,
    segmentation_id  BIGINT NOT NULL,
    PRIMARY KEY (pod, physical_network, segmentation_id)
);

-- 1: the region chose it, nobody named it.
ALTER TABLE segments ADD COLUMN chosen BIGINT NOT NULL DEFAULT 0;
