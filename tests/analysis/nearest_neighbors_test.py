"""Votes against scikit-learn's classifier, and by hand."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from transfusion_tf import analysis


def test_votes_are_those_of_a_classifier_of_nearest_neighbours():
    generator = np.random.default_rng(0)
    known, asked = generator.normal(size=[60, 5]), generator.normal(size=[9, 5])
    classes = generator.integers(0, 3, 60)
    votes = analysis.vote(known, np.eye(3)[classes], asked, num_neighbors=7)
    # The cosine orders unit vectors as their distance does.
    classifier = KNeighborsClassifier(7).fit(_unit(known), classes)
    expected = classifier.predict_proba(_unit(asked))
    np.testing.assert_allclose(votes, expected, atol=1e-12)


def test_what_is_unknown_does_not_vote():
    known = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    labels = np.array([[1, np.nan], [np.nan, np.nan], [0, 1], [0, 0]])
    asked = np.array([[5.0, 0.2], [0.2, 5.0]])
    votes = analysis.vote(known, labels, asked, num_neighbors=2)
    # Of the second label no neighbour of the first image knows anything: the
    # mean of all is a half.
    np.testing.assert_allclose(votes, [[1.0, 0.5], [0.0, 0.5]])


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
