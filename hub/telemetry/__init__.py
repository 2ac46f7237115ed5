"""What is published, when, and what is kept while it cannot be.

    pacer.py      when a reading is worth publishing; pure
    publisher.py  a bounded backlog and the one task that empties it into pubsub
"""
