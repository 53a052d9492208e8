"""The stages as processes of their own, over Kafka."""
